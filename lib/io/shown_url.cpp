#include "lib/base/ascii.hpp"
#include "lib/base/secret.hpp"
#include "lib/io/http_probe.hpp"

namespace codops::io {
namespace {

bool names_a_secret(std::string_view name) {
  const auto lower = ascii_lower(name);
  for (const auto* word : {"token", "key", "secret", "password", "passwd", "pwd", "sig", "auth", "credential", "session", "code", "jwt"}) {
    if (lower.find(word) != std::string::npos) return true;
  }
  return false;
}

std::string without_userinfo_token(std::string_view url) {
  const auto scheme = url.find("://");
  if (scheme == std::string_view::npos || !url.starts_with("http")) return std::string{url};
  const auto start = scheme + 3;
  const auto end = std::min(url.find_first_of("/?#", start), url.size());
  const auto at = url.substr(start, end - start).rfind('@');
  if (at == std::string_view::npos || url.substr(start, at).find(':') != std::string_view::npos) return std::string{url};
  return std::string{url.substr(0, start)} + std::string{Secret::shown} + std::string{url.substr(start + at)};
}

}  // namespace

std::string shown_url(std::string_view url) {
  const auto text = without_userinfo_token(redact_url(url));
  const auto question = text.find('?');
  if (question == std::string::npos) return text;
  const auto fragment = std::min(text.find('#', question), text.size());
  std::string out = text.substr(0, question + 1);
  std::string_view query{text.data() + question + 1, fragment - question - 1};
  while (!query.empty()) {
    const auto end = std::min(query.find_first_of("&;"), query.size());
    const auto pair = query.substr(0, end);
    const auto equals = pair.find('=');
    if (equals != std::string_view::npos && names_a_secret(pair.substr(0, equals))) {
      out.append(pair.substr(0, equals + 1)).append(Secret::shown);
    } else {
      out.append(pair);
    }
    if (end == query.size()) break;
    out.push_back(query[end]);
    query.remove_prefix(end + 1);
  }
  return out.append(text.substr(fragment));
}

}  // namespace codops::io
