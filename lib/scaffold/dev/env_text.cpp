#include "lib/scaffold/dev/env_text.hpp"

#include <algorithm>

#include "lib/text/dotenv.hpp"

namespace codops::scaffold::dev {
namespace {

constexpr std::string_view blanks = " \t\v\f\r";

std::size_t offset_of_line(std::string_view text, int line) {
  std::size_t at = 0;
  for (int i = 1; i < line; ++i) at = text.find('\n', at) + 1;
  return at;
}

// Where the value of a statement stands, by the reader's own rules (lib/text/dotenv.cpp).
void find_value(std::string_view text, EnvText::Statement& statement) {
  auto at = std::min(text.find_first_of("=:\n", statement.begin), text.size());
  if (at == text.size() || text[at] == '\n') {
    while (at > statement.begin && blanks.find(text[at - 1]) != std::string_view::npos) --at;
    statement.value_begin = statement.value_end = statement.end = at;
    return;
  }
  const auto after_name = at + 1;
  at = std::min(text.find_first_not_of(blanks, at + 1), text.size());
  if (at == text.size() || text[at] == '\n') {
    // Not behind the blanks: a CR among them is the line's end.
    statement.value_begin = statement.value_end = statement.end = after_name;
    return;
  }
  if (at < text.size() && (text[at] == '"' || text[at] == '\'')) {
    statement.quote = text[at];
    statement.value_begin = ++at;
    while (at < text.size() && text[at] != statement.quote) at += text[at] == '\\' ? 2U : 1U;
    statement.value_end = std::min(at, text.size());
    statement.end = std::min(at + 1, text.size());
    return;
  }
  const auto line_end = std::min(text.find('\n', at), text.size());
  auto line = text.substr(at, line_end - at);
  line = line.substr(0, line.find(" #"));
  const auto last = line.find_last_not_of(blanks);
  statement.value_begin = at;
  statement.value_end = statement.end = at + (last == std::string_view::npos ? 0 : last + 1);
}

}  // namespace

EnvText::EnvText(std::string text, std::string file) : text_{std::move(text)}, file_{std::move(file)} { read(); }

void EnvText::read() {
  statements_.clear();
  const text::Lookup nothing = [](std::string_view) { return std::nullopt; };
  for (auto& assignment : text::parse_dotenv(text_, file_, nothing)) {
    Statement statement;
    statement.name = std::move(assignment.name);
    statement.begin = offset_of_line(text_, assignment.at.line) + static_cast<std::size_t>(assignment.at.column) - 1;
    find_value(text_, statement);
    statement.value = std::move(assignment.value);
    // NAME alone has no value; the reader asks the caller's environment, which is none of ours.
    statements_.push_back(std::move(statement));
  }
}

const EnvText::Statement* EnvText::find(std::string_view name) const {
  const auto found = std::find_if(statements_.rbegin(), statements_.rend(), [&](const Statement& one) { return one.name == name; });
  return found == statements_.rend() ? nullptr : &*found;
}

std::optional<std::string> EnvText::value(std::string_view name) const {
  const auto* statement = find(name);
  return statement == nullptr ? std::nullopt : statement->value;
}

bool EnvText::commented_out(std::string_view name) const {
  std::string_view rest{text_};
  while (!rest.empty()) {
    auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    auto start = line.find_first_not_of(blanks);
    if (start == std::string_view::npos || line[start] != '#') continue;
    start = line.find_first_not_of("# \t", start);
    if (start == std::string_view::npos) continue;
    line.remove_prefix(start);
    if (line.starts_with("export ")) line.remove_prefix(7);
    if (line.starts_with(name) && line.substr(name.size()).starts_with('=')) return true;
  }
  return false;
}

std::string EnvText::raw(const Statement& statement) const {
  return text_.substr(statement.value_begin, statement.value_end - statement.value_begin);
}

std::string EnvText::line(const Statement& statement) const { return text_.substr(statement.begin, statement.end - statement.begin); }

void EnvText::replace(std::string_view name, std::string_view raw) {
  const auto* statement = find(name);
  if (statement == nullptr) return;
  text_.replace(statement->value_begin, statement->value_end - statement->value_begin, raw);
  read();
}

void EnvText::set(std::string_view name, std::string_view value, std::string_view written) {
  const auto* statement = find(name);
  if (statement == nullptr) return;
  const auto quoted = quoted_value(value);
  if (quoted && *quoted == value) return replace(name, value);
  const std::size_t quote = statement->quote != 0 ? 1 : 0;
  text_.replace(statement->value_begin - quote, statement->value_end - statement->value_begin + 2 * quote, quoted ? *quoted : std::string{written});
  read();
}

std::string EnvText::written(const Statement& statement) const {
  const std::size_t quote = statement.quote != 0 ? 1 : 0;
  return text_.substr(statement.value_begin - quote, statement.value_end - statement.value_begin + 2 * quote);
}

void EnvText::append(const std::vector<std::string>& lines) {
  if (lines.empty()) return;
  const bool crlf = text_.find("\r\n") != std::string::npos;
  const std::string_view line_break = crlf ? "\r\n" : "\n";
  if (!text_.empty() && text_.back() != '\n') text_ += line_break;
  for (const auto& line : lines) (text_ += line) += line_break;
  read();
}

std::optional<std::string> quoted_value(std::string_view value) {
  const auto has = [&](std::string_view any) { return value.find_first_of(any) != std::string_view::npos; };
  const bool plain = std::all_of(value.begin(), value.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || std::string_view{"_-./:@%+,=~"}.find(c) != std::string_view::npos;
  });
  if (plain) return std::string{value};
  if (has("\r")) return std::nullopt;  // some readers take it for the end of a line
  // A backslash before the closing quote would take its meaning away, for some.
  if (!has("'") && !value.ends_with('\\')) return "'" + std::string{value} + "'";
  if (!has("\"$\\`")) return '"' + std::string{value} + '"';
  return std::nullopt;
}

std::optional<UrlPlace> url_place(std::string_view url) {
  const auto scheme_end = url.find("://");
  if (scheme_end == std::string_view::npos || scheme_end == 0) return std::nullopt;
  UrlPlace place;
  place.scheme = std::string{url.substr(0, scheme_end)};
  const auto authority = scheme_end + 3;
  const auto end = std::min(url.find_first_of("/?#", authority), url.size());
  const auto at_sign = url.substr(authority, end - authority).rfind('@');
  place.begin = at_sign == std::string_view::npos ? authority : authority + at_sign + 1;
  place.end = end;
  if (at_sign != std::string_view::npos) {
    const auto user = url.substr(authority, at_sign);
    place.user = std::string{user.substr(0, user.find(':'))};
    if (const auto colon = user.find(':'); colon != std::string_view::npos) {
      place.password_begin = authority + colon + 1;
      place.password_end = authority + at_sign;
      place.password = std::string{url.substr(place.password_begin, place.password_end - place.password_begin)};
    }
  }
  if (end < url.size() && url[end] == '/') place.path = std::string{url.substr(end + 1, std::min(url.find_first_of("?#", end), url.size()) - end - 1)};
  const auto where = url.substr(place.begin, place.end - place.begin);
  const auto bracket = where.rfind(']');
  if (where.starts_with('[') && bracket == std::string_view::npos) return std::nullopt;  // no address that could be told
  // ${PORT:-5432} has a colon of its own.
  const auto brace = where.find("${");
  auto colon = bracket == std::string_view::npos ? where.find(':') : where.find(':', bracket);
  if (brace == 0 && colon != std::string_view::npos) {
    const auto close = where.find('}');
    colon = close == std::string_view::npos ? std::string_view::npos : where.find(':', close);
  }
  place.host = std::string{where.substr(0, colon)};
  if (colon != std::string_view::npos) place.port = std::string{where.substr(colon + 1)};
  return place;
}

bool is_loopback(std::string_view host) {
  return host == "localhost" || host.starts_with("127.") || host == "::1" || host == "[::1]" || host == "0.0.0.0";
}

}  // namespace codops::scaffold::dev
