#include "lib/base/secret.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include "lib/base/ascii.hpp"
#include "lib/base/url_key.hpp"

namespace codops {
namespace {

constexpr std::string_view blanks = " \t\r\n";
// What ends a URL within a text. A quote may stand in a password all the same (RFC 3986, userinfo).
constexpr std::string_view blanks_and_quotes = " \t\r\n\"'<>";

// The end of an authority that starts at `from`: RFC 3986 ends it at '/', '?', '#'; in prose so does what ends the URL.
std::size_t authority_end(std::string_view text, std::size_t from, bool whole) {
  return std::min({text.find_first_of("/?#", from), whole ? text.size() : text.find_first_of(blanks_and_quotes, from), text.size()});
}

// "user:pa/ss@host": what stands after the colon is no port, so the authority goes on to the last '@' of the word.
// A port proves nothing when an '@' follows in the path: better hide too much.
std::size_t userinfo_end(std::string_view text, std::size_t from, std::size_t end, bool whole) {
  const auto at = text.substr(from, end - from).rfind('@');
  if (at != std::string_view::npos) return from + at;
  const auto authority = text.substr(from, end - from);
  const auto colon = authority.rfind(':');
  if (colon == std::string_view::npos || authority.starts_with('[')) return std::string_view::npos;
  const bool port = colon + 1 < authority.size() && authority.find_first_not_of("0123456789", colon + 1) == std::string_view::npos;
  const auto word_end = whole ? text.size() : std::min(text.find_first_of(port ? blanks_and_quotes : blanks, from), text.size());
  const auto until = port ? std::min(text.find_first_of("?#", end), word_end) : word_end;
  const auto late = text.substr(from, until - from).rfind('@');
  return late == std::string_view::npos ? late : from + late;
}

// Their users are names, and a password is given apart or not at all.
constexpr std::array<std::string_view, 9> schemes_with_users{"postgres", "postgresql", "mysql", "mariadb", "mongodb", "mongodb+srv", "ssh", "sftp", "git+ssh"};

std::string scheme_before(std::string_view text) {
  auto start = text.size();
  while (start > 0 && (std::isalnum(static_cast<unsigned char>(text[start - 1])) != 0 || std::string_view{"+.-"}.find(text[start - 1]) != std::string_view::npos)) --start;
  return ascii_lower(text.substr(start));
}

}  // namespace

bool is_key_of_url(std::string_view before, std::string_view userinfo) {
  constexpr std::size_t longest_name = 8;
  constexpr std::size_t longest_scheme = 16;
  if (userinfo.size() <= longest_name || userinfo.find(':') != std::string_view::npos) return false;
  const auto scheme = scheme_before(before.substr(before.size() - std::min(before.size(), longest_scheme)));
  return std::find(schemes_with_users.begin(), schemes_with_users.end(), scheme) == schemes_with_users.end();
}

namespace {

// `whole`: nothing but one URL, in which blanks and quotes end nothing.
std::string redacted(std::string_view text, bool whole) {
  std::string out;
  std::size_t position = 0;
  for (;;) {
    const auto scheme = text.find("://", position);
    if (scheme == std::string_view::npos) break;
    const auto start = scheme + 3;
    const auto end = authority_end(text, start, whole);
    const auto at = userinfo_end(text, start, end, whole);
    out.append(text.substr(position, start - position));
    if (at == std::string_view::npos) {
      position = start;
      continue;
    }
    const auto userinfo = text.substr(start, at - start);
    const auto colon = userinfo.find(':');
    if (colon == std::string_view::npos) {
      out.append(is_key_of_url(text.substr(0, scheme), userinfo) ? Secret::shown : userinfo);
    } else {
      out.append(userinfo.substr(0, colon)).append(":").append(Secret::shown);
    }
    position = at;
  }
  out.append(text.substr(position));
  return out;
}

// "u:secret@host:1", "https//u:secret@host/": meant for a URL, or beside one. Of what stands before the last '@' only a user is shown.
std::string redacted_rest(std::string_view text) {
  const auto at = text.rfind('@');
  const auto colon = text.substr(0, at).find(':');
  if (at != std::string_view::npos && colon != std::string_view::npos) return std::string{text.substr(0, colon + 1)}.append(Secret::shown).append(text.substr(at));
  const auto slashes = text.find("//");
  if (at == std::string_view::npos || slashes >= at) return std::string{text};
  return std::string{text.substr(0, slashes + 2)}.append(Secret::shown).append(text.substr(at));
}

// Where a scheme and its slashes, one of them or its colon forgotten, stand in the place of a host: "http://https//u:secret@host/".
std::size_t misspelt_url(std::string_view url) {
  const auto start = url.find("://") + 3;
  const auto rest = ascii_lower(url.substr(start, 8));
  return rest.starts_with("http/") || rest.starts_with("https/") || rest.starts_with("http:/") || rest.starts_with("https:/") ? start : std::string_view::npos;
}

}  // namespace

std::string redact_url(std::string_view url) {
  if (url.find("://") == std::string_view::npos) return redacted_rest(url);
  const auto misspelt = misspelt_url(url);
  if (misspelt != std::string_view::npos) return std::string{url.substr(0, misspelt)} + redact_url(url.substr(misspelt));
  return redacted(url, true);
}
std::string redact_urls_in(std::string_view text) { return redacted(text, false); }

}  // namespace codops
