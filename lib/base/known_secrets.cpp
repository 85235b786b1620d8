#include "lib/base/known_secrets.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include "lib/base/ascii.hpp"
#include "lib/base/percent.hpp"
#include "lib/base/secret.hpp"
#include "lib/base/spellings.hpp"
#include "lib/base/url_key.hpp"

namespace codops {
namespace {

// A longer value is a file of many lines, which are known each by itself.
constexpr std::size_t longest_value = 16U << 10U;
// Of a text that streams by this much is kept: enough for any value, and for what is left when values are hidden.
constexpr std::size_t kept_size = 64U << 10U;

constexpr std::array<std::string_view, 23> secret_parts{"pass",  "pwd",  "secret", "token",  "key",     "auth",    "cred", "dsn",    "salt",    "pepper", "jwt", "hmac",
                                                        "bearer", "webhook", "private", "sign", "otp", "cookie", "session", "license", "seed", "mnemonic", "encrypt"};
constexpr std::array<std::string_view, 4> secret_words{"pw", "pin", "sid", "sig"};
// Only at a name's end: GITHUB_PAT, STRIPE_SK.
constexpr std::array<std::string_view, 2> last_words{"pat", "sk"};
// Settings about a secret: TOKEN_TTL=3600 is none, and "3600" must stay readable.
constexpr std::array<std::string_view, 20> measures{"ttl",     "length", "len",     "size",  "expires", "expiry", "expiration", "timeout", "age",   "days",
                                                    "hours",   "minutes", "seconds", "count", "limit",   "rounds", "port",       "interval", "retries", "max"};
constexpr std::array<std::string_view, 23> plain_words{"true",  "false", "null",  "none",  "undefined", "default",   "enabled",  "disabled", "production", "development", "staging", "test",
                                                       "debug", "info",  "warn",  "error", "localhost", "required", "optional", "auto",     "always",     "never",       "http"};

template <typename List>
bool has(const List& list, std::string_view word) { return std::find(list.begin(), list.end(), word) != list.end(); }

std::vector<std::string> words_of(std::string_view lower) {
  std::vector<std::string> words{""};
  for (const char c : lower) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) words.back() += c;
    else if (!words.back().empty()) words.emplace_back();
  }
  return words;
}

bool is_measure(std::string_view name, std::string_view value) {
  if (value.empty() || std::isdigit(static_cast<unsigned char>(value.front())) == 0 || value.size() > 12) return false;
  const auto words = words_of(ascii_lower(name));
  return has(measures, words.back()) || (words.size() > 1 && words.back() == "ms");
}

bool is_path(std::string_view value) { return (value.starts_with('/') || value.starts_with("./")) && value.find_first_of(" \n=+") == std::string_view::npos; }

// Made by a machine to be hard to guess, or a key: whatever the variable is called.
bool looks_secret(std::string_view value) {
  if (value.find("PRIVATE KEY-----") != std::string_view::npos) return true;
  if (value.size() < 20) return false;
  std::size_t digits = 0, letters = 0;
  for (const char c : value) {
    if (std::isdigit(static_cast<unsigned char>(c)) != 0) ++digits;
    else if (std::isalpha(static_cast<unsigned char>(c)) != 0) ++letters;
    else if (c != '-' && c != '_' && c != '~' && c != '+' && c != '=') return false;
  }
  return digits >= 4 && letters >= 4;
}

// "scheme://user:password@host": between the first colon and the last '@' of the authority. A password may have a '/', badly written.
std::string_view url_password(std::string_view rest) {
  const auto word = rest.substr(0, rest.find_first_of(" \t\r\n\"'<>"));
  const auto authority = word.substr(0, word.find_first_of("/?#"));
  auto at = authority.rfind('@');
  if (at == std::string_view::npos) at = word.rfind('@');
  if (at == std::string_view::npos) return {};
  const auto colon = word.substr(0, at).find(':');
  if (colon == std::string_view::npos) return {};
  return word.substr(colon + 1, at - colon - 1);
}

// "https://KEY@host": a key in the place of a user, with no password behind it. Where `scheme` ends tells databases and ssh, whose users
// are no secret.
std::string_view url_key(std::string_view scheme, std::string_view rest) {
  const auto authority = rest.substr(0, rest.find_first_of("/?# \t\r\n\"'<>"));
  const auto at = authority.rfind('@');
  return at == std::string_view::npos || !is_key_of_url(scheme, authority.substr(0, at)) ? std::string_view{} : authority.substr(0, at);
}

// Without blanks, a closing comma and quotes around it.
std::string_view bare(std::string_view value) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == ','; };
  while (!value.empty() && blank(value.front())) value.remove_prefix(1);
  while (!value.empty() && blank(value.back())) value.remove_suffix(1);
  if (value.size() >= 2 && (value.front() == '"' || value.front() == '\'') && value.back() == value.front()) value = value.substr(1, value.size() - 2);
  return value;
}

template <typename Each>
void each_line(std::string_view text, const Each& each) {
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    each(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

}  // namespace

bool is_secret_variable(std::string_view name) {
  const auto lower = ascii_lower(name);
  if (std::any_of(secret_parts.begin(), secret_parts.end(), [&](std::string_view part) { return lower.find(part) != std::string::npos; })) return true;
  const auto words = words_of(lower);
  if (has(last_words, words.back())) return true;
  return std::any_of(words.begin(), words.end(), [](const std::string& word) { return has(secret_words, word); });
}

void KnownSecrets::add_one(std::string_view value, std::size_t least) {
  if (value.size() < least || value.size() > longest_value || value.find_first_not_of(" \t\r\n") == std::string_view::npos) return;
  if (!has(values_, value)) values_.emplace_back(value);
}

void KnownSecrets::add(std::string_view value) {
  while (!value.empty() && (value.back() == '\n' || value.back() == '\r')) value.remove_suffix(1);
  if (has(plain_words, ascii_lower(value))) return;
  add_one(value, shortest);
  if (value.size() <= longest_value) {
    for (const auto& spelling : quoted_spellings(value)) add_one(spelling, shortest);
    for (const auto& spelling : encoded_spellings(value)) add_one(spelling, shortest);
  }
  if (value.find('\n') == std::string_view::npos) return;
  each_line(value, [&](std::string_view line) {
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
    while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) line.remove_prefix(1);
    add_one(line, shortest_line);
    if (line.size() > longest_value) return;
    for (const auto& spelling : quoted_spellings(line)) add_one(spelling, shortest_line);
  });
}

void KnownSecrets::add_variable(std::string_view name, std::string_view value) {
  for (auto at = value.find("://"); at != std::string_view::npos; at = value.find("://", at + 3)) {
    const auto password = url_password(value.substr(at + 3));
    add(password);
    add(percent_decoded(password));
    const auto key = url_key(value.substr(0, at), value.substr(at + 3));
    add(key);
    add(percent_decoded(key));
  }
  const auto lower = ascii_lower(value);
  for (const std::string_view key : {"password=", "pwd=", "secret=", "token=", "accountkey=", "sharedaccesskey="}) {
    for (auto at = lower.find(key); at != std::string::npos; at = lower.find(key, at + 1)) {
      const auto found = value.substr(at + key.size());
      const auto word = found.substr(0, found.find_first_of(" \t\r\n;&"));
      add(bare(word));
      add(percent_decoded(bare(word)));
    }
  }
  // A value of several lines is a key, a certificate, an account's JSON.
  const bool several = value.find('\n') != std::string_view::npos;
  if (several || looks_secret(value)) return add(value);
  if (!is_secret_variable(name) || is_measure(name, value) || is_path(value)) return;
  // An address; its password is known by now. A webhook's is a secret by itself.
  if (value.find("://") != std::string_view::npos && ascii_lower(name).find("hook") == std::string::npos) return;
  add(value);
}

void KnownSecrets::add_file(std::string_view content) {
  add(content);
  each_line(content, [&](std::string_view line) {
    add_variable({}, line);
    const auto sign = line.find_first_of("=:");
    if (sign != std::string_view::npos) add_variable(bare(line.substr(0, sign)), bare(line.substr(sign + 1)));
  });
}

std::string KnownSecrets::hide_from(std::string_view text, std::size_t begin) const {
  std::vector<bool> hidden(text.size(), false);
  for (const auto& value : values_) {
    std::size_t marked = 0;
    for (auto at = text.find(value); at != std::string_view::npos; at = text.find(value, at + 1)) {
      for (marked = std::max(marked, at); marked < at + value.size(); ++marked) hidden[marked] = true;
    }
  }
  std::string out;
  for (std::size_t at = std::min(begin, text.size()); at < text.size(); ++at) {
    if (!hidden[at]) out += text[at];
    else if (at == begin || !hidden[at - 1]) out += Secret::shown;
  }
  return redact_urls_in(out);
}

std::size_t KnownSecrets::longest() const noexcept {
  std::size_t most = 0;
  for (const auto& value : values_) most = std::max(most, value.size());
  return most;
}

void HiddenTail::add(std::string_view bytes) {
  if (bytes.size() > kept_size) {
    bytes.remove_prefix(bytes.size() - kept_size);
    kept_.clear();
    cut_ = true;
  }
  kept_ += bytes;
  if (kept_.size() <= 2 * kept_size) return;
  kept_.erase(0, kept_.size() - kept_size);
  cut_ = true;
}

std::string HiddenTail::text(const KnownSecrets& secrets) const {
  // What was cut off may be the beginning of a value.
  auto out = secrets.hide_from(kept_, cut_ ? secrets.longest() : 0);
  while (!out.empty() && (out.back() == '\n' || out.back() == '\r' || out.back() == ' ')) out.pop_back();
  const bool shortened = out.size() > most_;
  if (shortened) out.erase(0, out.size() - most_);
  if (!shortened && !cut_) return out;
  // The first word may be the end of a URL whose beginning is gone.
  const auto blank = out.find_first_of(" \t\n");
  out.erase(0, blank == std::string::npos ? out.size() : blank + 1);
  return out;
}

}  // namespace codops
