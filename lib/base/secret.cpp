#include "lib/base/secret.hpp"

namespace codops {
namespace {

// The end of an authority that starts at `from`: RFC 3986 ends it at '/', '?', '#'; blanks and quotes end it in prose.
std::size_t authority_end(std::string_view text, std::size_t from) {
  const auto end = text.find_first_of("/?# \t\r\n\"'<>", from);
  return end == std::string_view::npos ? text.size() : end;
}

}  // namespace

std::string redact_url(std::string_view url) { return redact_urls_in(url); }

std::string redact_urls_in(std::string_view text) {
  std::string out;
  std::size_t position = 0;
  for (;;) {
    const auto scheme = text.find("://", position);
    if (scheme == std::string_view::npos) break;
    const auto start = scheme + 3;
    const auto end = authority_end(text, start);
    const auto at = text.substr(start, end - start).rfind('@');
    out.append(text.substr(position, start - position));
    if (at == std::string_view::npos) {
      position = start;
      continue;
    }
    const auto userinfo = text.substr(start, at);
    const auto colon = userinfo.find(':');
    if (colon == std::string_view::npos) {
      out.append(userinfo);
    } else {
      out.append(userinfo.substr(0, colon)).append(":").append(Secret::shown);
    }
    position = start + at;
  }
  out.append(text.substr(position));
  return out;
}

}  // namespace codops
