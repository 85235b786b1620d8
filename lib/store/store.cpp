#include "lib/store/store.hpp"

#include "lib/base/failure.hpp"
#include "lib/base/units.hpp"

namespace codops::store {

void check_name(std::string_view name) {
  const auto refuse = [&] { throw Failure{Exit::bug, fmt::format("\"{}\" is no object name", name)}; };
  if (name.empty() || name.size() > 900) refuse();
  bool at_start = true;
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                       c == '-' || c == '=' || c == '+';
    if (!plain && c != '.' && c != '/') refuse();
    if (at_start && (c == '.' || c == '/')) refuse();
    at_start = c == '/';
  }
  if (at_start) refuse();
}

std::string LockHolder::text() const {
  if (host.empty()) return {};
  auto said = fmt::format("pid {} on {}", pid, host);
  if (since) said += ", since " + to_rfc3339(*since);
  if (silent) said += fmt::format(", last sign of life {} ago", format_duration(*silent));
  return said;
}

std::string LockHolder::remedy() const {
  if (host.empty()) return "wait for it";
  auto said = fmt::format("wait for it, or end it on {}: kill {}", host, pid);
  if (taken_over_after) said += fmt::format("; should it be dead, its lock is taken over after {} without a sign of life", format_duration(*taken_over_after));
  return said;
}

void Store::put(const std::string& name, std::string_view content, const Limits& limits, Retain retain) {
  const auto upload = create(name, limits, retain);
  upload->write(content);
  upload->finish();
  upload->commit();
}

std::optional<std::string> Store::get(const std::string& name, const Limits& limits, std::size_t cap) {
  constexpr int tries = 3;
  for (int tried = 1;; ++tried) {
    const auto there = find(name, limits);
    if (!there) return std::nullopt;
    if (there->size > cap) throw Failure{Exit::data, fmt::format("\"{}\" in {} has more than {} bytes", name, describe(), cap)};
    try {
      return io::read_all(*open(name, limits), cap);
    } catch (const Failure& failure) {
      // Marks and locks come, change and go under a reader's hands: that is no damage.
      if (failure.code() != Exit::data || tried == tries) throw;
    }
  }
}

}  // namespace codops::store
