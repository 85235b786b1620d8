#include "lib/base/known_secrets.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <random>

using namespace codops;

namespace {

KnownSecrets knowing(std::initializer_list<std::string_view> values) {
  KnownSecrets known;
  for (const auto value : values) known.add(value);
  return known;
}

}  // namespace

TEST_CASE("variables are secrets by their names, in any case") {
  for (const char* name : {"API_TOKEN", "stripe_password", "SIGNING_SALT", "PIN_SECRET", "PIN", "DB_PASSWD", "AwsSecretAccessKey", "SMTP_PWD", "jwt", "SESSION_COOKIE", "GITHUB_PAT_KEY", "GITHUB_PAT", "stripe_sk"}) {
    CAPTURE(name);
    CHECK(is_secret_variable(name));
  }
  for (const char* name : {"NODE_ENV", "PORT", "HOSTNAME", "PINE", "PATH", "SKIN", "SK_LOCALE", "LANG", "VERSION", "LOG_LEVEL"}) {
    CAPTURE(name);
    CHECK_FALSE(is_secret_variable(name));
  }
}

TEST_CASE("values are hidden as they stand, whatever they are made of") {
  CHECK(knowing({"a.*b[c]$"}).hide("x a.*b[c]$ aXXbc y") == "x *** aXXbc y");
  CHECK(knowing({R"(pa"ss$1)"}).hide(R"(pw=pa"ss$1 {"pw":"pa\"ss$1"})") == R"(pw=*** {"pw":"***"})");
  CHECK(knowing({"it's"}).hide(R"(pw='it'\''s' it's)") == "pw='***' ***");
  CHECK(knowing({"48213"}).hide("pin 48213, port 4821") == "pin ***, port 4821");
  // Three characters are everywhere.
  CHECK(knowing({"abc"}).hide("abc") == "abc");
  CHECK(knowing({""}).hide("text") == "text");
  CHECK(knowing({"true", "production"}).hide("true production") == "true production");
  CHECK(knowing({"secret\n"}).hide("a secret here") == "a *** here");
}

TEST_CASE("values are hidden as others write them") {
  const auto hides = [](std::string_view value, const std::string& written) {
    CAPTURE(value);
    CAPTURE(written);
    CHECK(knowing({value}).hide("<" + written + ">") == "<***>");
  };
  // node's util.inspect picks quotes that are not in the value; Python's repr and its own lower-case digits.
  hides(R"(pa\ss\w)", R"(pa\\ss\\w)");
  hides(R"(a\b'c)", R"(a\\b'c)");
  hides(R"(a\b'c"d)", R"(a\\b\'c"d)");
  hides(R"(a\b"c)", R"(a\\b\"c)");
  hides(R"(a\b'c"d`e)", R"(a\\b\'c"d`e)");
  hides("esc\x1b[0m", R"(esc\x1B[0m)");
  hides("esc\x1b[0m", R"(esc\x1b[0m)");
  hides("esc\x1b[0m", R"(esc\u001b[0m)");
  hides("tab\there", R"(tab\there)");
  // In URLs.
  hides("p@ss/w rd+1", "p%40ss%2Fw%20rd%2B1");
  hides("p@ss/w rd+1", "p%40ss%2fw%20rd%2b1");
  hides("p@ss/w rd+1", "p%40ss%2Fw+rd%2B1");
  hides("p@ss/w rd", "p%40ss/w%20rd");
  hides("it's(1)!*", "it's(1)!*");
  hides("it's(1)!*", "it%27s%281%29%21%2A");
  hides("it's(1)!*", "it%27s%281%29%21*");
  hides("z\xc3\xbcrich-8", "z%C3%BCrich-8");
  hides("100%sure", "100%25sure");
}

TEST_CASE("keys in connection strings and in the user's place of a URL") {
  KnownSecrets known;
  known.add_variable("STORAGE", "DefaultEndpointsProtocol=https;AccountName=shop;AccountKey=Zm9vYmFyQmF6cXV4MTIz+/==;EndpointSuffix=core.windows.net");
  known.add_variable("BUS", "Endpoint=sb://shop.example.com/;SharedAccessKeyName=Root;SharedAccessKey=c2VjcmV0LWtleQ==");
  known.add_variable("SENTRY_DSN", "https://0a1b2c3d4e5f@o1.ingest.example.com/7");
  known.add_variable("DB_URL", "postgresql://shop_production@db/shop");
  known.add_variable("REPO", "ssh://deployment@git.example.com/shop.git");
  CHECK(known.hide("key Zm9vYmFyQmF6cXV4MTIz+/== of shop at core.windows.net") == "key *** of shop at core.windows.net");
  CHECK(known.hide("Root c2VjcmV0LWtleQ==") == "Root ***");
  CHECK(known.hide("client 0a1b2c3d4e5f") == "client ***");
  CHECK(known.hide("role shop_production, deployment") == "role shop_production, deployment");
  // Of URLs that nobody told us about, too.
  CHECK(known.hide("to https://another-key-77@host/x, http://shop@host, git+ssh://deployment@host, postgresql://shop_production@db") ==
        "to https://***@host/x, http://shop@host, git+ssh://deployment@host, postgresql://shop_production@db");
}

TEST_CASE("many values and a long log: a moment") {
  KnownSecrets known;
  std::string key;
  for (int line = 0; line < 60; ++line) key += std::string(60, static_cast<char>('a' + line % 26)) + "+/" + std::to_string(line) + "\n";
  known.add(key);
  for (int number = 0; number < 100; ++number) known.add_variable("API_KEY_" + std::to_string(number), "v@lue/" + std::to_string(number) + "\\'\"");
  known.add(std::string(16000, 'a'));
  const auto started = std::chrono::steady_clock::now();
  const auto hidden = known.hide(std::string(1U << 18U, 'a') + "v@lue/7\\'\"");
  CHECK(hidden.find("v@lue") == std::string::npos);
  CHECK(std::chrono::steady_clock::now() - started < std::chrono::seconds{20});
}

TEST_CASE("values that overlap, contain or follow each other leave nothing of either") {
  CHECK(knowing({"abcdef", "defghi"}).hide("-abcdefghi-") == "-***-");
  CHECK(knowing({"abcd", "abcdefgh"}).hide("abcdefgh abcd") == "*** ***");
  CHECK(knowing({"aaaa"}).hide("aaaaaab") == "***b");
  CHECK(knowing({"abcd", "efgh"}).hide("abcdefgh") == "***");
}

TEST_CASE("of a value with several lines each is hidden, and all of it where it stands whole") {
  const auto known = knowing({"-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\nab==\n-----END PRIVATE KEY-----\n"});
  CHECK(known.hide("key: -----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\nab==\n-----END PRIVATE KEY-----\nend") == "key: ***\nend");
  CHECK(known.hide("| MIIEvQIBADANBg |") == "| *** |");
  CHECK(known.hide(R"({"key":"-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\nab==\n-----END PRIVATE KEY-----"})") == R"({"key":"***"})");
}

TEST_CASE("of variables the values count that their names or forms call secret") {
  KnownSecrets known;
  known.add_variable("DATABASE_URL", "postgresql://shop:p%40ss%2Fword@db:5432/shop");
  known.add_variable("dsn", "host=db user=shop password=h1dden-pw sslmode=off");
  known.add_variable("TOKEN_TTL", "3600");
  known.add_variable("KEY_FILE", "/run/keys/one.pem");
  known.add_variable("AUTH_URL", "https://login.example.com/oauth");
  known.add_variable("SLACK_WEBHOOK_URL", "https://hooks.example.com/T0/B0/xyz");
  known.add_variable("NODE_ENV", "staging-eu");
  known.add_variable("MULTI", "first line\nsecond line");
  known.add_variable("RELEASE_ID", "0123456789abcdef0123456789abcdef");
  known.add_variable("REDIS", "redis://:onlypass@cache/0");
  CHECK(known.hide("p%40ss%2Fword") == "***");
  CHECK(known.hide("auth failed for p@ss/word") == "auth failed for ***");
  CHECK(known.hide("h1dden-pw") == "***");
  CHECK(known.hide("onlypass") == "***");
  CHECK(known.hide("MULTI: first line / second line") == "MULTI: *** / ***");
  CHECK(known.hide("https://hooks.example.com/T0/B0/xyz") == "***");
  CHECK(known.hide("0123456789abcdef0123456789abcdef") == "***");
  CHECK(known.hide("3600 /run/keys/one.pem https://login.example.com/oauth staging-eu") == "3600 /run/keys/one.pem https://login.example.com/oauth staging-eu");
  CHECK(known.hide("postgresql://shop:another@db/shop") == "postgresql://shop:***@db/shop");
}

TEST_CASE("a secret's file is one value, lines, and what its lines name") {
  KnownSecrets known;
  known.add_file("hunter22\n");
  known.add_file("user: shop\npassword: 'correct horse'\n");
  known.add_file("{\n  \"api_key\": \"k-12\",\n  \"on\": true\n}\n");
  CHECK(known.hide("got hunter22") == "got ***");
  CHECK(known.hide("says correct horse!") == "says ***!");
  CHECK(known.hide("key k-12 true") == "key *** true");
}

TEST_CASE("the end of a text that comes in pieces: nothing of a value shows, wherever the pieces or the end cut it") {
  const std::string secret = "Kanarienvogel-Q7x";
  const auto known = knowing({secret});
  std::mt19937 random{7};
  for (std::size_t filler = 0; filler < 200; ++filler) {
    HiddenTail tail{100};
    std::string all;
    for (int index = 0; index < 8000; ++index) all += std::string(filler % 7, 'x') + (index % 3 == 0 ? secret : " word ");
    all += secret;
    for (std::size_t at = 0; at < all.size();) {
      const auto size = std::min<std::size_t>(1 + random() % 5000, all.size() - at);
      tail.add(std::string_view{all}.substr(at, size));
      at += size;
    }
    const auto text = tail.text(known);
    REQUIRE(text.size() <= 100);
    REQUIRE_FALSE(text.empty());
    // No part of it that could be told from the rest.
    for (std::size_t at = 0; at + 3 <= secret.size(); ++at) REQUIRE(text.find(secret.substr(at, 3)) == std::string::npos);
  }
  HiddenTail small{100};
  small.add("it failed: Kanarien");
  small.add("vogel-Q7x\n\n");
  CHECK(small.text(known) == "it failed: ***");
  CHECK(HiddenTail{10}.text(known).empty());
}
