#include "lib/store/store.hpp"

#include "lib/base/failure.hpp"

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

void Store::put(const std::string& name, std::string_view content, const Limits& limits) {
  const auto upload = create(name, limits);
  upload->write(content);
  upload->finish();
  upload->commit();
}

std::optional<std::string> Store::get(const std::string& name, const Limits& limits, std::size_t cap) {
  if (!find(name, limits)) return std::nullopt;
  return io::read_all(*open(name, limits), cap);
}

}  // namespace codops::store
