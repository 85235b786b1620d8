// A URL in the place of something else is quoted by whoever refuses it: never with its password.
#include <doctest/doctest.h>

#include "lib/health/from_settings.hpp"
#include "lib/health/report.hpp"
#include "lib/health/verdict.hpp"
#include "lib/io/shown_word.hpp"
#include "lib/settings/schema.hpp"

using namespace codops;
using namespace codops::health;

namespace {

constexpr auto slip = "postgresql://u:hunter2@h/x";

std::string said_by(const std::function<void()>& action) {
  try {
    action();
  } catch (const Failure& failure) {
    return failure.message() + failure.hint() + nagios(failure);
  }
  FAIL_CHECK("nothing was thrown");
  return {};
}

Check named(std::string name, std::vector<std::string> after = {}) {
  auto check = command_check(std::move(name), {"true"});
  check.after = std::move(after);
  return check;
}

}  // namespace

TEST_CASE("a word that is a URL or a connection string shows no password, any other stays") {
  using io::shown_word;
  CHECK(shown_word(slip) == "postgresql://u:***@h/x");
  CHECK(shown_word("u:hunter2@h:1") == "u:***@h:1");
  CHECK(shown_word("host=h password=hunter2 dbname=d") == "host=h password=*** dbname=d");
  CHECK(shown_word("host=h password='hun ter2' dbname=d") == "host=h password=***");
  CHECK(shown_word("password=hunter2 sslpassword=hunter3") == "password=*** sslpassword=***");
  for (const auto* word : {"production", "me@h", "/srv/a b", "9fceb02d0ae598e95dc970b74767f19372d61af8", "shop/app:1@sha256:9fceb02d0ae598e95dc970b74767f19372d61af8"}) CHECK(shown_word(word) == word);
}

TEST_CASE("a URL in the place of a name") {
  for (const auto& text : {said_by([] { select({named("site")}, {slip}); }), said_by([] { check_order({named("site", {slip})}); }),
                           said_by([] { check_order({named(slip), named(slip)}); }), said_by([] { check_order({named(slip, {slip})}); }),
                           nagios(Failure{Exit::config, std::string{"it is \""} + slip + "\""})}) {
    CAPTURE(text);
    CHECK(text.find("postgresql://u:***@h/x") != std::string::npos);
    CHECK(text.find("hunter2") == std::string::npos);
  }
  settings::HealthCheck described;
  described.name = "c";
  described.kind = "backup_age";
  described.target = slip;
  CHECK(said_by([&] { check_from(described, {}, {}); }).find("hunter2") == std::string::npos);
  for (const auto& check : {container_check(slip, [](const Limits&) { return std::vector<target::Container>{}; }), disk_check(slip),
                            workload_check(slip, [](const Limits&) { return WorkloadState{}; }), command_check("c", {slip})}) {
    CHECK(target_of(check) == "postgresql://u:***@h/x");
    if (const auto* asked = std::get_if<AskedCheck>(&check.what)) CHECK(asked->ask({}).message.find("hunter2") == std::string::npos);
  }
  const auto* key = settings::find_key("health.timeout");
  REQUIRE(key != nullptr);
  CHECK(settings::check_value(*key, slip).find("postgresql://u:***@h/x") != std::string::npos);
}

TEST_CASE("what a check of codops.yaml sends is one header each, with a method") {
  settings::HealthCheck described;
  described.name = "c";
  described.kind = "url";
  described.target = "HTTPS://Shop.example/Health";
  described.method = "GET";
  CHECK(std::get<HttpCheck>(check_from(described, {}, {}).what).request.url == "https://Shop.example/Health");
  described.headers = {{"Authorization", "Bearer hunter2\n"}};
  CHECK(said_by([&] { check_from(described, {}, {}); }).starts_with("the check \"c\": the value of the header \"Authorization\" has a line break"));
  described.headers = {{"X: a\r\nEvil", "b"}};
  CHECK(said_by([&] { check_from(described, {}, {}); }).find("the name of a header has a line break") != std::string::npos);
  described.headers.clear();
  described.method = "GET / HTTP/1.1\r\nEvil: b\r\n";
  CHECK(said_by([&] { check_from(described, {}, {}); }).find("its method is none") != std::string::npos);
  described.method = "HEAD";
  described.timeout = Milliseconds{0};
  CHECK(said_by([&] { check_from(described, {}, {}); }).find("its timeout is 0") != std::string::npos);
}
