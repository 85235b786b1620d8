#pragma once
// A dead-man's switch (healthchecks.io and its like): URL/start, URL after verified success, URL/fail.
#include <string_view>

#include "lib/base/cancel.hpp"
#include "lib/base/secret.hpp"

namespace codops::backup {

// "/uuid?create=1" and "/fail" → "/uuid/fail?create=1": what stands after the path stays there. Never empty.
std::string ping_target(std::string_view path, std::string_view suffix);

class Ping {
 public:
  Ping() = default;  // tells nobody
  explicit Ping(Secret url) : url_{std::move(url)} {}
  // A failure to tell of the start or of a failure is no reason to fail; success is: an alarm would go off.
  void start(const Limits& limits) const;
  void success(const Limits& limits) const;
  void failure(const Limits& limits) const;

 private:
  void tell(std::string_view suffix, const Limits& limits) const;
  Secret url_;
};

}  // namespace codops::backup
