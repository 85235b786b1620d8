// What is shown of addresses that carry secrets, well-formed or not.
#include <doctest/doctest.h>

#include "lib/base/without_secret.hpp"
#include "lib/io/http_probe.hpp"
#include "lib/io/postgres.hpp"

using namespace codops;
using io::shown_text;
using io::shown_url;

TEST_CASE("no part of a password is shown, even where it was not percent-encoded") {
  CHECK(shown_url("http://user:hunter2@h/x") == "http://user:***@h/x");
  CHECK(shown_url("http://hunter2@h/x") == "http://***@h/x");
  for (const auto* password : {"hun/ter2", "hun?ter2", "hun#ter2", "hun@ter2", "12/ter2", "hun:ter2", "/hunter2", "?hunter2"}) {
    CAPTURE(password);
    const auto shown = shown_url(std::string{"https://user:"} + password + "@shop.example:8443/health");
    CHECK(shown == "https://user:***@shop.example:8443/health");
    CHECK(redact_urls_in(std::string{"at https://user:"} + password + "@h/ it broke") == "at https://user:***@h/ it broke");
  }
}

TEST_CASE("what is no secret stays readable") {
  for (const auto* url : {"https://h:8443/health?page=2&size=10", "http://[::1]:80/a@b", "https://shop.example.com/.well-known/ready", "http://h/@user/feed",
                          "https://h/orders/2026-11-23/list", "http://h/?email=a@b.c", "not a url"}) {
    CHECK(shown_url(url) == url);
  }
}

TEST_CASE("secrets in queries, fragments and paths") {
  CHECK(shown_url("http://h/?access_token=x&pass=y&Api-Key=z&q=1") == "http://h/?access_token=***&pass=***&Api-Key=***&q=1");
  CHECK(shown_url("http://h/#token=x") == "http://h/#token=***");
  CHECK(shown_url("http://h/?q=4f1c9a7be2d84c0f9a7b") == "http://h/?q=***");
  CHECK(shown_url("https://hooks.example/services/T02/B03/a8f3kq09zmx71bqw20zz") == "https://hooks.example/services/T02/B03/***");
  CHECK(shown_text("moved to https://u:p@h/?token=x twice") == "moved to https://u:***@h/?token=*** twice");
}

TEST_CASE("what was meant for a URL, or stands where none is wanted, shows no password either") {
  for (const auto& [text, shown] : {std::pair{"https//u:hunter2@h/", "https//u:***@h/"}, {"http://https//u:hunter2@h/x", "http://https//u:***@h/x"}, {"https:/u:hunter2@h/", "https:***@h/"},
                                    {"https//hunter2@h/", "https//***@h/"}, {"u:hunter2@127.0.0.1:1", "u:***@127.0.0.1:1"}, {"u:hun@ter2@h", "u:***@h"}, {"h/?token=hunter2", "h/?token=***"}}) {
    CAPTURE(text);
    CHECK(shown_url(text) == shown);
  }
  for (const auto* text : {"shop.example.com:443", "me@shop.example.com", "[fe80::1%eth0]:80", "/run/app.sock"}) CHECK(shown_url(text) == text);
}

TEST_CASE("a JSON Web Token and a session in the path") {
  const std::string jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";
  CHECK(shown_url("http://h/?q=" + jwt) == "http://h/?q=***");
  CHECK(shown_url("http://h/" + jwt + "/x") == "http://h/***/x");
  CHECK(shown_url("http://h/app;jsessionid=ABCDEF123456;v=2?a=1") == "http://h/app;jsessionid=***;v=2?a=1");
  CHECK(shown_url("http://h/eyJ.html") == "http://h/eyJ.html");
}

TEST_CASE("what a request carries that a server may quote") {
  io::HttpProbeRequest request;
  request.url = "https://user:hun%2Fter2@h/x?page=2&token=canary#f";
  request.headers = {{"Authorization", Secret{"Bearer sekret-token"}}, {"Accept", Secret{"application/json"}}, {"Cookie", Secret{"id=7; session=sekret-cookie"}}};
  std::string text = "user:hun/ter2, hun%2Fter2, dXNlcjpodW4vdGVyMg==, canary, 'Bearer sekret-token', sekret-token, sekret-cookie; page 2 is application/json";
  for (const auto& secret : io::secrets_of(request)) text = without_secret(text, secret);
  CHECK(text == "user:***, ***, ***, ***, '***', ***, ***; page 2 is application/json");
  request.url = "https://bare-token@h/";
  request.headers.clear();
  const auto secrets = io::secrets_of(request);
  CHECK(std::any_of(secrets.begin(), secrets.end(), [](const Secret& secret) { return secret.reveal() == "bare-token"; }));
  request.url = "https://h/?a=1";
  CHECK(io::secrets_of(request).empty());
}

TEST_CASE("a URL is no host") {
  for (const auto* text : {"https://u:hunter2@h:1/", "postgres://u:hunter2@h:1", "u:hunter2@h", "a:b:c"}) CHECK_FALSE(io::parse_host_port(text));
  for (const auto* text : {"h:1", "[::1]:1", "::1", "fe80::1%eth0", "h"}) CHECK(io::parse_host_port(text));
}

TEST_CASE("a PostgreSQL URL whose password is not encoded is refused, and nothing of it is said") {
  for (const auto* url : {"postgres://u:hun@ter2@h:1/d", "postgres://u:hun/ter2@h:1/d", "postgres://u:12/ter2@h:1/d", "postgres://u:hun?ter2@h:1/d"}) {
    CAPTURE(url);
    try {
      io::postgres::parse_target(url, "DATABASE_URL");
      FAIL_CHECK("it was taken");
    } catch (const Failure& failure) {
      CHECK(failure.message() == "DATABASE_URL can't be read as a PostgreSQL URL");
      CHECK(failure.hint().find("%40") != std::string::npos);
    }
  }
  CHECK(io::postgres::parse_target("postgres://u:p%40s%2Fs@h:1/d?application_name=a@b", "X").password.reveal() == "p@s/s");
}
