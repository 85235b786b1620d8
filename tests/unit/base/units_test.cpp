#include "lib/base/units.hpp"

#include <doctest/doctest.h>

#include "lib/base/failure.hpp"
#include "lib/base/secret.hpp"
#include "lib/base/without_secret.hpp"

using namespace codops;

TEST_CASE("durations are read as people write them") {
  CHECK(parse_duration("90s") == std::chrono::seconds{90});
  CHECK(parse_duration("1m30s") == std::chrono::seconds{90});
  CHECK(parse_duration("1.5h") == std::chrono::minutes{90});
  CHECK(parse_duration("500ms") == std::chrono::milliseconds{500});
  CHECK(parse_duration("2d") == std::chrono::hours{48});
  CHECK(parse_duration("7") == std::chrono::seconds{7});
  for (const char* bad : {"", "s", "1x", "1m30", "-1s", "1.2.3s", " 1s"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_duration(bad));
  }
}

TEST_CASE("byte sizes are binary multiples") {
  CHECK(parse_bytes("64M") == 67108864U);
  CHECK(parse_bytes("1.5g") == 1610612736U);
  CHECK(parse_bytes("512kb") == 524288U);
  CHECK(parse_bytes("10MiB") == 10485760U);
  CHECK(parse_bytes("123") == 123U);
  for (const char* bad : {"", "M", "1x", "1 parsec", "-1"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_bytes(bad));
  }
}

TEST_CASE("times and sizes for people") {
  CHECK(format_duration(Milliseconds{4210}) == "4.2 s");
  CHECK(format_duration(Milliseconds{65'000}) == "1 min 5 s");
  CHECK(format_age(Milliseconds{3 * 3600 * 1000}) == "3 h ago");
  CHECK(format_bytes(108'000'000) == "108 MB");
  CHECK(format_bytes(1'230'000'000) == "1.2 GB");
}

TEST_CASE("a password inside a URL is hidden, the rest is kept") {
  CHECK(redact_url("postgres://shop:s3cret@db:5432/shop") == "postgres://shop:***@db:5432/shop");
  CHECK(redact_url("redis://:pw@h/0") == "redis://:***@h/0");
  CHECK(redact_url("https://example.org/a@b:c") == "https://example.org/a@b:c");
  for (const char* password : {"it's-secret", "se\"cret", "se<cret>", "se cret", "'\t'"}) {
    CAPTURE(password);
    const auto url = std::string{"http://adm:"} + password + "@h:80/x";
    CHECK(redact_url(url) == "http://adm:***@h:80/x");
    if (url.find_first_of(" \t") == std::string::npos) CHECK(redact_urls_in("can't reach " + url + " now") == "can't reach http://adm:***@h:80/x now");
  }
  CHECK(redact_urls_in("\"http://h:80\" or 'a@b'") == "\"http://h:80\" or 'a@b'");
  CHECK(redact_urls_in("cannot reach http://a:p@q@h/x or ftp://u:v@w") == "cannot reach http://a:***@h/x or ftp://u:***@w");
}

TEST_CASE("a secret that a server quotes is hidden, whole or begun") {
  const Secret secret{"sekretPW"};
  CHECK(without_secret("ERR unknown command 'AUTH', with args beginning with: 'sekretPW' 'sekretPW'", secret) ==
        "ERR unknown command 'AUTH', with args beginning with: '***' '***'");
  CHECK(without_secret("sekretPWsekretPW", secret) == "******");
  CHECK(without_secret("sekret", secret) == "sekret");
  CHECK(without_secret("", secret).empty());
  CHECK(without_secret("text", Secret{}) == "text");
  const std::string word(200, 'k');
  CHECK(without_secret("cut: '" + word.substr(0, 128) + "'", Secret{word}) == "cut: '***'");
  CHECK(without_secret("ends in " + word.substr(0, 16), Secret{word}) == "ends in ***");
  // A very short one is hidden where it stands alone: the holes in every word would spell it.
  CHECK(without_secret("bad password: a, say", Secret{"a"}) == "bad password: ***, say");
}

TEST_CASE("the nearest word is suggested, a far one is not") {
  const std::vector<std::string> words{"deploy", "rollback", "backup"};
  CHECK(nearest("depoly", words) == "deploy");
  CHECK(nearest("rolback", words) == "rollback");
  CHECK(nearest("xyzzyplugh", words).empty());
}
