#include "lib/text/dotenv.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <memory>

#include "lib/base/failure.hpp"

namespace codops::text {
namespace {

constexpr std::string_view blanks = " \t\v\f\r";
constexpr std::string_view white = " \t\v\f\r\n";

std::string_view trimmed_right(std::string_view text) {
  const auto last = text.find_last_not_of(white);
  return last == std::string_view::npos ? std::string_view{} : text.substr(0, last + 1);
}

bool is_octal(char c) { return c >= '0' && c <= '7'; }

// \n and friends, \$ (a dollar sign that stays) and \0123; other backslashes stay.
std::string unescaped(std::string_view text) {
  static constexpr std::string_view letters = "abfnrtv\"\\";
  static constexpr std::string_view values = "\a\b\f\n\r\t\v\"\\";
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '\\' || at + 1 == text.size()) {
      out += text[at];
      continue;
    }
    const char next = text[at + 1];
    if (const auto letter = letters.find(next); letter != std::string_view::npos) {
      out += values[letter];
      ++at;
    } else if (next == '$') {
      out += "$$";
      ++at;
    } else if (next == '0' && at + 4 < text.size() && text[at + 2] <= '3' &&
               std::all_of(&text[at + 2], &text[at + 5], is_octal)) {
      out += static_cast<char>((text[at + 2] - '0') * 64 + (text[at + 3] - '0') * 8 + (text[at + 4] - '0'));
      at += 4;
    } else {
      out += '\\';
    }
  }
  return out;
}

class Reader {
 public:
  Reader(std::string_view text, std::string file, const Lookup& outside, const OnUnset& on_unset)
      : text_{text}, file_{std::make_shared<const std::string>(std::move(file))}, outside_{outside}, on_unset_{on_unset} {
    if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;
  }

  std::vector<Assignment> read() {
    while (to_statement()) statement();
    return std::move(done_);
  }

 private:
  char here() const { return text_[at_]; }
  bool ended() const { return at_ >= text_.size(); }

  bool to_statement() {
    for (;;) {
      at_ = std::min(text_.find_first_not_of(white, at_), text_.size());
      if (ended()) return false;
      if (here() != '#') return true;
      at_ = std::min(text_.find('\n', at_), text_.size());
    }
  }

  Position position() const {
    const auto before = text_.substr(0, at_);
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const auto line_start = before.rfind('\n');
    const auto column = line_start == std::string_view::npos ? at_ + 1 : at_ - line_start;
    return {file_, static_cast<int>(line), static_cast<int>(column)};
  }

  void statement() {
    const auto where = position();
    auto [name, alone] = read_name();
    if (name.empty()) throw failure_at(where, "a variable's name is missing");
    if (name.find(' ') != std::string::npos)
      throw failure_at(where, fmt::format("the name \"{}\" has a space in it", name));
    if (alone) {
      done_.push_back({name, outside_(name), where});
      return;
    }
    try {
      auto value = read_value(where);
      done_.push_back({std::move(name), std::move(value), where});
    } catch (Failure& failure) {
      if (failure.message().starts_with(*file_)) throw;
      throw failure_at(where, failure.message(), failure.hint());
    }
  }

  // The name, and whether no value follows.
  std::pair<std::string, bool> read_name() {
    skip_export();
    const auto begin = at_;
    while (!ended() && here() != '=' && here() != ':' && here() != '\n') {
      const auto c = static_cast<unsigned char>(here());
      const bool fits = std::isalnum(c) || c >= 0x80 || std::string_view{"_.-[]"}.find(here()) != std::string_view::npos;
      if (!fits && blanks.find(here()) == std::string_view::npos)
        throw failure_at(position(), fmt::format("unexpected \"{}\" in a variable's name", here()));
      ++at_;
    }
    std::string name{trimmed_right(text_.substr(begin, at_ - begin))};
    const bool alone = ended() || here() == '\n';
    if (!ended()) ++at_;
    if (!alone) at_ = std::min(text_.find_first_not_of(blanks, at_), text_.size());
    return {std::move(name), alone};
  }

  void skip_export() {
    static constexpr std::string_view word = "export";
    const auto rest = text_.substr(at_);
    if (!rest.starts_with(word) || rest.size() == word.size() || blanks.find(rest[word.size()]) == std::string_view::npos)
      return;
    at_ = std::min(text_.find_first_not_of(blanks, at_ + word.size()), text_.size());
  }

  std::string read_value(const Position& where) {
    if (!ended() && (here() == '"' || here() == '\'')) return read_quoted(where);
    const auto end = std::min(text_.find('\n', at_), text_.size());
    auto line = text_.substr(at_, end - at_);
    at_ = end;
    line = trimmed_right(line.substr(0, line.find(" #")));
    return expanded(std::string{line});
  }

  std::string read_quoted(const Position& where) {
    const char quote = here();
    std::string value;
    for (++at_; !ended(); ++at_) {
      if (here() == quote) {
        ++at_;
        return quote == '"' ? expanded(unescaped(value)) : value;
      }
      if (here() == '\\' && at_ + 1 < text_.size()) {
        ++at_;
        if (here() != quote) value += '\\';
      }
      value += here();
    }
    throw failure_at(where, "a quoted value is never closed");
  }

  std::string expanded(const std::string& value) const {
    const Lookup lookup = [&](std::string_view name) -> std::optional<std::string> {
      if (auto found = outside_(name)) return found;
      for (auto above = done_.rbegin(); above != done_.rend(); ++above) {
        if (above->name == name && above->value) return above->value;
      }
      return std::nullopt;
    };
    return interpolate(value, lookup, on_unset_);
  }

  std::string_view text_;
  std::shared_ptr<const std::string> file_;
  const Lookup& outside_;
  const OnUnset& on_unset_;
  std::size_t at_{0};
  std::vector<Assignment> done_;
};

}  // namespace

std::vector<Assignment> parse_dotenv(std::string_view text, std::string file, const Lookup& outside,
                                     const OnUnset& on_unset) {
  return Reader{text, std::move(file), outside, on_unset}.read();
}

std::vector<Assignment> parse_raw_dotenv(std::string_view text, std::string file, const Lookup& outside) {
  const auto name = std::make_shared<const std::string>(std::move(file));
  std::vector<Assignment> done;
  for (int line = 1; !text.empty(); ++line) {
    auto statement = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(statement.size() + 1, text.size()));
    if (statement.ends_with('\r')) statement.remove_suffix(1);
    if (statement.find_first_not_of(blanks) == std::string_view::npos || statement.front() == '#') continue;
    const auto equals = statement.find('=');
    const Position at{name, line, 1};
    std::string variable{statement.substr(0, equals)};
    if (equals == std::string_view::npos) {
      auto inherited = outside(variable);
      done.push_back({std::move(variable), std::move(inherited), at});
    } else {
      done.push_back({std::move(variable), std::string{statement.substr(equals + 1)}, at});
    }
  }
  return done;
}

}  // namespace codops::text
