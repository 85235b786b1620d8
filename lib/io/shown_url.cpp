#include <algorithm>
#include <cctype>

#include "lib/base/ascii.hpp"
#include "lib/base/secret.hpp"
#include "lib/io/http_probe.hpp"

namespace codops::io {
namespace {

bool names_a_secret(std::string_view name) {
  const auto lower = ascii_lower(name);
  for (const auto* word : {"token", "key", "secret", "pass", "pwd", "sig", "auth", "access", "cred", "session", "code", "jwt", "otp", "hmac", "bearer"}) {
    if (lower.find(word) != std::string::npos) return true;
  }
  return lower == "pw" || lower == "pin" || lower == "p" || lower == "sid";
}

// Long, with letters and digits and nothing that words are made of: made by a machine, to be hard to guess.
bool looks_like_a_token(std::string_view text) {
  if (text.size() < 20) return false;
  std::size_t digits = 0, letters = 0;
  for (const char c : text) {
    if (std::isdigit(static_cast<unsigned char>(c)) != 0) ++digits;
    else if (std::isalpha(static_cast<unsigned char>(c)) != 0) ++letters;
    else if (c != '-' && c != '_' && c != ':' && c != '~' && c != '%' && c != '+' && c != '=') return false;
  }
  return digits >= 4 && letters >= 4;
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

// "a=1&token=x" with the values of secrets hidden; also the form of a fragment.
std::string shown_pairs(std::string_view pairs) {
  std::string out;
  while (!pairs.empty()) {
    const auto end = std::min(pairs.find_first_of("&;"), pairs.size());
    const auto pair = pairs.substr(0, end);
    const auto equals = pair.find('=');
    if (equals == std::string_view::npos ? looks_like_a_token(pair) : names_a_secret(pair.substr(0, equals)) || looks_like_a_token(pair.substr(equals + 1))) {
      out.append(equals == std::string_view::npos ? std::string_view{} : pair.substr(0, equals + 1)).append(Secret::shown);
    } else {
      out.append(pair);
    }
    if (end == pairs.size()) break;
    out.push_back(pairs[end]);
    pairs.remove_prefix(end + 1);
  }
  return out;
}

// Hooks of chats and monitors carry their secret as a segment of the path.
std::string shown_path(std::string_view path) {
  std::string out;
  while (!path.empty()) {
    const auto end = std::min(path.find('/'), path.size());
    const auto segment = path.substr(0, end);
    out.append(looks_like_a_token(segment) ? Secret::shown : segment);
    if (end == path.size()) break;
    out.push_back('/');
    path.remove_prefix(end + 1);
  }
  return out;
}

}  // namespace

std::string shown_url(std::string_view url) {
  const auto text = without_userinfo_token(redact_url(url));
  const auto scheme = text.find("://");
  if (scheme == std::string::npos) return text;
  const auto path = std::min(text.find_first_of("/?#", scheme + 3), text.size());
  const auto question = std::min(text.find('?', path), text.size());
  const auto fragment = std::min(text.find('#', path), text.size());
  const auto path_end = std::min(question, fragment);
  std::string out = text.substr(0, path) + shown_path(std::string_view{text}.substr(path, path_end - path));
  if (question < fragment) out += "?" + shown_pairs(std::string_view{text}.substr(question + 1, fragment - question - 1));
  if (fragment < text.size()) out += "#" + shown_pairs(std::string_view{text}.substr(fragment + 1));
  return out;
}

std::string shown_text(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto end = std::min(text.find_first_of(" \t\r\n\"'<>"), text.size());
    const auto word = text.substr(0, end);
    out.append(word.find("://") == std::string_view::npos ? std::string{word} : shown_url(word));
    if (end == text.size()) break;
    out.push_back(text[end]);
    text.remove_prefix(end + 1);
  }
  return out;
}

}  // namespace codops::io
