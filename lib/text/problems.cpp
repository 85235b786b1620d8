#include "lib/text/problems.hpp"

#include <fmt/format.h>

namespace codops::text {

void Problems::add(const Position& at, std::string_view message, std::string hint) {
  failures_.push_back(failure_at(at, message, std::move(hint)));
}

void Problems::add(const Failure& failure) {
  if (failure.code() != Exit::config) throw failure;
  failures_.push_back(failure);
}

void Problems::add_unknown(const Position& at, std::string_view key, std::string_view where, const std::string& near) {
  const auto suggestion = near.empty() ? std::string{} : fmt::format("; did you mean \"{}\"?", near);
  add(at, where.empty() ? fmt::format("unknown key \"{}\"{}", key, suggestion)
                        : fmt::format("unknown key \"{}\" in {}{}", key, where, suggestion));
}

void Problems::throw_if_any() const {
  if (failures_.empty()) return;
  std::string message, hint;
  for (const auto& failure : failures_) {
    if (!message.empty()) message += '\n';
    message += failure.message();
    // Of several, each keeps its own hint beside it.
    if (failures_.size() > 1 && !failure.hint().empty()) message += fmt::format(" ({})", failure.hint());
  }
  if (failures_.size() == 1) hint = failures_.front().hint();
  throw Failure{Exit::config, std::move(message), std::move(hint)};
}

}  // namespace codops::text
