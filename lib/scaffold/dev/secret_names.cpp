#include "lib/scaffold/dev/secret_names.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>
#include <vector>

namespace codops::scaffold::dev {
namespace {

std::string lower(std::string_view text) {
  std::string out{text};
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::vector<std::string> words_of(std::string_view name) {
  std::vector<std::string> words{""};
  for (const char c : lower(name)) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) words.back() += c;
    else if (!words.back().empty()) words.emplace_back();
  }
  return words;
}

template <typename List>
bool any_of(const std::vector<std::string>& words, const List& list) {
  return std::any_of(words.begin(), words.end(), [&](const std::string& word) { return std::find(list.begin(), list.end(), word) != list.end(); });
}

constexpr std::array<std::string_view, 9> secret_words{"secret", "password", "passwd", "pass", "salt", "pepper", "passphrase", "pgpassword", "redispassword"};
constexpr std::array<std::string_view, 12> key_owners{"jwt",    "session", "cookie", "encryption", "signing", "crypt",
                                                      "hash",   "app",     "auth",   "csrf",       "refresh", "access"};
// Accounts elsewhere.
constexpr std::array<std::string_view, 48> others{
    "stripe", "paypal",   "aws",      "s3",     "minio",  "gcp",      "google",   "github",  "gitlab",  "facebook", "twitter",  "apple",
    "azure",  "smtp",     "mail",     "email",  "mailgun", "sendgrid", "twilio",   "sentry",  "slack",   "discord",  "telegram", "openai",
    "oauth",  "oauth2",   "oidc",     "saml",   "okta",   "auth0",    "firebase", "cloudinary", "algolia", "datadog", "newrelic", "pagerduty",
    "npm",    "docker",   "registry", "client", "api",    "webhook",  "razorpay", "shopify", "mapbox",  "recaptcha", "license",  "cloudflare"};

// DB_PWD, REDIS_PWD; elsewhere it may be a folder.
bool is_short_password(const std::vector<std::string>& words) {
  return words.size() > 1 && words.back() == "pwd" && any_of(words, std::array<std::string_view, 6>{"db", "database", "postgres", "postgresql", "pg", "redis"});
}

}  // namespace

bool is_command(std::string_view value) { return value.starts_with("$(") || value.starts_with('`'); }

bool is_secret_name(std::string_view name) {
  const auto words = words_of(name);
  if (any_of(words, secret_words) || is_short_password(words)) return true;
  return std::any_of(words.begin(), words.end(), [](const std::string& word) { return word == "token" || word == "key" || word == "credentials" || word == "dsn"; });
}

bool is_own_secret(std::string_view name) {
  const auto words = words_of(name);
  if (any_of(words, others)) return false;
  if (words.back() == "file" || words.back() == "path" || words.back() == "length" || words.back() == "expires" || words.back() == "ttl") return false;
  if (any_of(words, secret_words) || is_short_password(words)) return true;
  const bool key = std::find(words.begin(), words.end(), "key") != words.end();
  return key && any_of(words, key_owners);
}

bool is_placeholder(std::string_view value) {
  // A shell's words for "make one": in a .env file they are text, the same for everybody who copies it.
  if (is_command(value)) return true;
  // NAME=# at least 32 characters: dotenv reads nothing, and others read the comment.
  if (value.starts_with('#')) return true;
  std::string plain;
  for (const char c : lower(value)) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '<' || c == '>') plain += c;
  }
  if (plain.empty()) return value.find_first_not_of(" .*_-") == std::string_view::npos;
  if (plain.front() == '<' && plain.back() == '>') return true;
  if (plain.find_first_not_of('x') == std::string::npos) return true;
  for (const auto* word : {"changeme", "changethis", "changeit", "replaceme", "replacethis", "replacewith", "yoursecret", "yourpassword", "yourjwt",
                           "yoursuper", "yourkey", "yourstrong", "youraccess", "yourrefresh", "yoursession", "putyour", "generateme", "generatewith",
                           "placeholder", "todo", "fillme", "setme", "secrethere", "passwordhere", "keyhere"}) {
    if (plain.find(word) != std::string::npos) return true;
  }
  // "your-256-bit-secret"
  if (plain.starts_with("your")) {
    for (const auto* end : {"secret", "password", "key", "token", "salt"}) {
      if (plain.ends_with(end)) return true;
    }
  }
  for (const auto* whole : {"secret", "supersecret", "generate", "example", "none", "null", "undefined"}) {
    if (plain == whole) return true;
  }
  return false;
}

Store store_of_scheme(std::string_view scheme) {
  const auto plain = lower(scheme);
  if (plain.starts_with("postgres")) return Store::postgres;
  if (plain == "redis" || plain == "rediss" || plain == "valkey") return Store::redis;
  return Store::none;
}

Store store_of_name(std::string_view name) {
  const auto words = words_of(name);
  if (any_of(words, std::array<std::string_view, 8>{"postgres", "postgresql", "pg", "pghost", "pgport", "pgpassword", "pguser", "pgdatabase"})) return Store::postgres;
  if (any_of(words, std::array<std::string_view, 7>{"redis", "cache", "valkey", "redishost", "redisport", "redispassword", "redisuser"})) return Store::redis;
  if (any_of(words, std::array<std::string_view, 2>{"db", "database"})) return Store::postgres;
  return Store::none;
}

}  // namespace codops::scaffold::dev
