#include "lib/backup/preflight.hpp"

#include "lib/backup/programs.hpp"
#include "tests/support/backup_fixture.hpp"

using namespace codops;
using namespace codops::tests;

namespace {

std::vector<std::string> blocking(const std::vector<backup::Finding>& findings) {
  std::vector<std::string> all;
  for (const auto& finding : findings) {
    if (!finding.blocks) continue;
    CHECK_FALSE(finding.hint.empty());
    all.push_back(finding.message);
  }
  return all;
}

}  // namespace

TEST_CASE("backup preflight: what the server can't take is known before anything is written") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, "CREATE TABLE t AS SELECT generate_series(1, 10) a"};
  Backups backups;
  const auto taken = backups.take(shop.target());
  REQUIRE(taken.manifest.database);
  auto connection = io::postgres::Connection::open(shop.target(), a_minute());
  const auto asked = [&](const std::function<void(backup::DatabaseIdentity&)>& change) {
    auto identity = *taken.manifest.database;
    change(identity);
    return blocking(backup::preflight(identity, connection, a_minute()));
  };

  CHECK(asked([](auto&) {}).empty());
  const auto disk = asked([](auto& identity) { identity.size = std::uint64_t{1} << 60; });
  REQUIRE(disk.size() == 1);
  CHECK(disk[0].starts_with("the server's disk has "));
  CHECK(asked([](auto& identity) { identity.server_number = 990001; }) ==
        std::vector<std::string>{fmt::format("the backup is of PostgreSQL 99, the server is {}", connection.server_version() / 10000)});
  CHECK(asked([](auto& identity) { identity.extensions.emplace_back("postgis 3.3"); }) ==
        std::vector<std::string>{"extension \"postgis\" is not available on the server"});
  CHECK(asked([](auto& identity) { identity.roles.emplace_back("nobody_here"); }) ==
        std::vector<std::string>{"role \"nobody_here\" does not exist on the server"});
}

TEST_CASE("backup programs: a pg_dump that is older than the server is never used") {
  try {
    backup::find_programs(99, {}, {}, a_minute());
    FAIL("found one");
  } catch (const Failure& failure) {
    CHECK(failure.code() == Exit::unavailable);
    CHECK(failure.message().find("the server is PostgreSQL 99, newer than pg_dump ") == 0);
    CHECK(failure.hint() == "apt-get install postgresql-client-99");
  }
}
