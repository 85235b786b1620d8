#include <curl/curl.h>
#include <openssl/evp.h>

#include <algorithm>
#include <cctype>

#include "lib/base/ascii.hpp"
#include "lib/base/secret.hpp"
#include "lib/io/http_probe.hpp"
#include "lib/io/shown_word.hpp"

namespace codops::io {
namespace {

// Long, with letters and digits and nothing that words are made of: made by a machine, to be hard to guess.
bool looks_like_a_token(std::string_view text) {
  if (text.size() < 20) return false;
  // A JSON Web Token: its dots are in file names too.
  if (text.starts_with("eyJ") && text.find('.') != std::string_view::npos) return true;
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
    const auto name = segment.substr(0, segment.find(';'));
    out.append(looks_like_a_token(name) ? Secret::shown : name);
    if (name.size() < segment.size()) out.append(";").append(shown_pairs(segment.substr(name.size() + 1)));  // jsessionid
    if (end == path.size()) break;
    out.push_back('/');
    path.remove_prefix(end + 1);
  }
  return out;
}

void add_secret(std::vector<Secret>& secrets, std::string_view value) {
  if (!value.empty()) secrets.emplace_back(std::string{value});
}

std::string base64(const std::string& text) {
  std::string out(4 * ((text.size() + 2) / 3) + 1, '\0');
  out.resize(static_cast<std::size_t>(::EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()))));
  return out;
}

void add_userinfo(std::vector<Secret>& secrets, const std::string& url) {
  const std::unique_ptr<CURLU, decltype(&::curl_url_cleanup)> parsed{::curl_url(), &::curl_url_cleanup};
  if (::curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) return;
  const auto part = [&](CURLUPart which, unsigned flags) {
    char* text = nullptr;
    const std::string out = ::curl_url_get(parsed.get(), which, &text, flags) == CURLUE_OK ? text : "";
    ::curl_free(text);
    return out;
  };
  const auto user = part(CURLUPART_USER, CURLU_URLDECODE), password = part(CURLUPART_PASSWORD, CURLU_URLDECODE);
  if (user.empty() && password.empty()) return;
  add_secret(secrets, base64(user + ":" + password));
  add_secret(secrets, password.empty() ? user : password);
  add_secret(secrets, part(password.empty() ? CURLUPART_USER : CURLUPART_PASSWORD, 0));
}

}  // namespace

bool names_a_secret(std::string_view name) {
  const auto lower = ascii_lower(name);
  for (const auto* word : {"token", "key", "secret", "pass", "pwd", "sig", "auth", "access", "cred", "session", "code", "jwt", "otp", "hmac", "bearer", "cookie"}) {
    if (lower.find(word) != std::string::npos) return true;
  }
  return lower == "pw" || lower == "pin" || lower == "p" || lower == "sid";
}

std::vector<Secret> secrets_of(const HttpProbeRequest& request) {
  std::vector<Secret> secrets;
  add_userinfo(secrets, request.url);
  const auto question = std::min(request.url.find('?'), request.url.size());
  auto query = std::string_view{request.url}.substr(question);
  while (!query.empty()) {
    query.remove_prefix(1);
    const auto pair = query.substr(0, query.find_first_of("&;#"));
    const auto equals = std::min(pair.find('='), pair.size());
    const auto value = pair.substr(std::min(equals + 1, pair.size()));
    if (names_a_secret(pair.substr(0, equals)) || looks_like_a_token(value)) add_secret(secrets, value);
    query.remove_prefix(pair.size());
  }
  for (const auto& [name, value] : request.headers) {
    if (!names_a_secret(name)) continue;
    add_secret(secrets, value.reveal());
    // "Bearer x", "session=x; id=y": a server may quote the x alone.
    constexpr std::size_t shortest = 8;
    for (std::string_view rest{value.reveal()}; !rest.empty();) {
      const auto word = rest.substr(0, rest.find_first_of(" ;,="));
      if (word.size() >= shortest) add_secret(secrets, word);
      rest.remove_prefix(std::min(word.size() + 1, rest.size()));
    }
  }
  return secrets;
}

std::string shown_url(std::string_view url) {
  const auto text = without_userinfo_token(redact_url(url));
  const auto scheme = text.find("://");
  const auto path = std::min(text.find_first_of("/?#", scheme == std::string::npos ? 0 : scheme + 3), text.size());
  const auto question = std::min(text.find('?', path), text.size());
  const auto fragment = std::min(text.find('#', path), text.size());
  const auto path_end = std::min(question, fragment);
  std::string out = text.substr(0, path) + shown_path(std::string_view{text}.substr(path, path_end - path));
  if (question < fragment) out += "?" + shown_pairs(std::string_view{text}.substr(question + 1, fragment - question - 1));
  if (fragment < text.size()) out += "#" + shown_pairs(std::string_view{text}.substr(fragment + 1));
  return out;
}

std::string shown_word(std::string_view word) {
  if (word.find("://") != std::string_view::npos) return shown_url(word);
  constexpr std::string_view key = "password=";
  if (const auto found = word.find(key); found != std::string_view::npos) {
    const auto start = found + key.size();
    // Quoted, it may have blanks: all that follows may be of it.
    const bool quoted = word.substr(start).starts_with('\'');
    const auto end = quoted ? word.size() : std::min(word.find_first_of(" \t\r\n", start), word.size());
    return std::string{word.substr(0, start)}.append(Secret::shown).append(shown_word(word.substr(end)));
  }
  return word.find("@sha256:") == std::string_view::npos ? redact_url(word) : std::string{word};
}

std::string with_lower_scheme(std::string_view url) {
  const auto end = std::min(url.find("://"), url.size());
  return end == url.size() ? std::string{url} : ascii_lower(url.substr(0, end)).append(url.substr(end));
}

std::string trouble_of_header(std::string_view name, std::string_view value) {
  constexpr std::string_view breaks{"\r\n\0", 3};
  if (name.find_first_of(breaks) != std::string_view::npos) return "the name of a header has a line break";
  return value.find_first_of(breaks) == std::string_view::npos ? std::string{} : fmt::format("the value of the header \"{}\" has a line break", name);
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
