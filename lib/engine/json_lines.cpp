#include "lib/engine/json_lines.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/base/failure.hpp"

namespace codops::engine {
namespace {

constexpr std::size_t longest_line = 16 * 1024 * 1024;
constexpr std::string_view blanks = " \t\r\n";

}  // namespace

std::optional<nlohmann::json> JsonLines::next() {
  for (;;) {
    const auto end = text_.find('\n', std::max(start_, scanned_));
    if (end == std::string::npos) {
      text_.erase(0, start_);
      start_ = 0;
      scanned_ = text_.size();
      if (text_.size() > longest_line) throw Failure{Exit::unavailable, "the engine sent a line without an end"};
      return std::nullopt;
    }
    const auto line = std::string_view{text_}.substr(start_, end - start_);
    if (line.find_first_not_of(blanks) == std::string_view::npos) {
      start_ = scanned_ = end + 1;
      continue;
    }
    auto value = nlohmann::json::parse(line, nullptr, false);
    if (value.is_discarded()) {
      throw Failure{Exit::unavailable, fmt::format("the engine sent something that is not JSON: {}", line.substr(0, 80))};
    }
    start_ = scanned_ = end + 1;
    return value;
  }
}

bool JsonLines::has_rest() const { return text_.find_first_not_of(blanks, start_) != std::string::npos; }

}  // namespace codops::engine
