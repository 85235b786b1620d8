#include "lib/io/crypto_age_armor.hpp"

#include "lib/io/crypto.hpp"

namespace codops::io::age {
namespace {

constexpr std::size_t columns = 64;
constexpr std::size_t longest_line = 4096;
constexpr std::size_t most_space = 1024;

[[noreturn]] void malformed_armor(std::string_view why) {
  throw AgeFailure{AgeFailure::Kind::armor, fmt::format("the armour is malformed: {}", why)};
}

bool is_space(std::string_view text) { return text.find_first_not_of(" \t\r\n") == std::string_view::npos; }

}  // namespace

std::size_t ArmorReader::read(char* into, std::size_t size) {
  if (!begun_) begin();
  while (decoded_at_ == decoded_.size()) {
    if (ended_ || !decode_line()) return 0;
  }
  const auto taken = decoded_.copy(into, size, decoded_at_);
  decoded_at_ += taken;
  return taken;
}

void ArmorReader::begin() {
  begun_ = true;
  for (std::size_t skipped = 0; skipped <= most_space;) {
    auto line = next_line();
    if (!line) malformed_armor("no begin line");
    if (is_space(*line)) {
      skipped += line->size() + 1;
      continue;
    }
    if (*line != armor_begin) malformed_armor("no begin line");
    return;
  }
  malformed_armor("too much white space");
}

bool ArmorReader::decode_line() {
  const auto line = next_line();
  if (!line) malformed_armor("no end line");
  if (*line == armor_end) {
    ended_ = true;
    require_only_space_left();
    return false;
  }
  if (line->empty()) malformed_armor("an empty line");
  if (line->size() > columns) malformed_armor("a line is too long");
  if (short_line_seen_) malformed_armor("a short line before the last");
  auto bytes = from_base64(*line);
  if (!bytes) malformed_armor("a line is not canonical base64");
  short_line_seen_ = line->size() < columns || line->back() == '=';
  decoded_ = std::move(*bytes);
  decoded_at_ = 0;
  return true;
}

void ArmorReader::require_only_space_left() {
  std::size_t skipped = 0;
  while (const auto line = next_line()) {
    skipped += line->size() + 1;
    if (!is_space(*line) || skipped > most_space) malformed_armor("something follows it");
  }
}

std::optional<std::string> ArmorReader::next_line() {
  for (;;) {
    if (const auto end = raw_.find('\n', raw_at_); end != std::string::npos) {
      auto line = raw_.substr(raw_at_, end - raw_at_);
      raw_at_ = end + 1;
      if (!line.empty() && line.back() == '\r') line.pop_back();
      return line;
    }
    raw_.erase(0, std::exchange(raw_at_, 0));
    if (raw_.size() > longest_line) malformed_armor("a line is too long");
    std::array<char, 4096> buffer{};
    const auto got = source_.read(buffer.data(), buffer.size());
    if (got == 0) {
      if (raw_.empty()) return std::nullopt;
      return std::exchange(raw_, {});
    }
    raw_.append(buffer.data(), got);
  }
}

}  // namespace codops::io::age
