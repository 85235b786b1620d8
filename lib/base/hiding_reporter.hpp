#pragma once
// Tells another reporter what went wrong without the values that nobody may read: an engine's error may quote them.
#include <functional>
#include <utility>

#include "lib/base/known_secrets.hpp"
#include "lib/base/reporter.hpp"

namespace codops {

class HidingReporter final : public Reporter {
 public:
  // `secrets` is asked when something went wrong, not before.
  HidingReporter(Reporter& to, std::function<const KnownSecrets&()> secrets) : to_{to}, secrets_{std::move(secrets)} {}

  void report(const Event& event) override {
    if (event.kind != Event::Kind::failed && event.kind != Event::Kind::warning) return to_.report(event);
    auto told = event;
    const auto& secrets = secrets_();
    told.text = secrets.hide(event.text);
    for (auto& detail : told.details) detail = secrets.hide(detail);
    to_.report(told);
  }

 private:
  Reporter& to_;
  std::function<const KnownSecrets&()> secrets_;
};

}  // namespace codops
