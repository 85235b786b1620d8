#include "lib/backup/preflight.hpp"

#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/backup/programs.hpp"
#include "lib/backup/restore.hpp"
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

TEST_CASE("backup preflight: the disk that is looked at is the one that the new database comes to, another tablespace's too") {
  if (::geteuid() != 0) {
    MESSAGE("skipped: only root mounts a small disk");
    return;
  }
  auto server = PostgresServer::start();
  if (server == nullptr) return;
  struct SmallDisk {
    explicit SmallDisk(std::string at) : path{std::move(at)} {
      std::filesystem::create_directory(path);
      mounted = ::mount("codops-test", path.c_str(), "tmpfs", 0, "size=40m") == 0;
    }
    ~SmallDisk() {
      if (mounted) ::umount2(path.c_str(), MNT_DETACH);
    }
    std::string path;
    bool mounted{};
  } disk{server->folder() + "/small"};
  if (!disk.mounted) {
    MESSAGE("skipped: nothing can be mounted here");
    return;
  }
  struct stat owner {};
  REQUIRE(::stat((server->folder() + "/data").c_str(), &owner) == 0);
  REQUIRE(::chown(disk.path.c_str(), owner.st_uid, owner.st_gid) == 0);
  ask(server->tcp(), "CREATE TABLESPACE small LOCATION '" + disk.path + "'");
  Shop shop{*server, "SELECT 1"};
  ask(server->tcp(), "ALTER DATABASE " + shop.name + " SET TABLESPACE small");
  Backups backups;
  backup::RestoreRequest request;
  request.backup = "latest";
  request.safety_backup = false;
  const backup::Subject subject{"test", shop.target(), {}};
  const auto blocked = [&] { return blocking(backup::check_restore(backups.catalogue, subject, request, backups.keys, a_minute())); };
  backups.take(shop.target());
  CHECK(blocked().empty());
  ask(shop.target(), "CREATE TABLE large AS SELECT repeat(md5(i::text), 60) AS a FROM generate_series(1, 8000) i");
  backups.take(shop.target());
  const auto told = blocked();
  REQUIRE(told.size() == 1);
  CHECK(told[0].starts_with("the disk of tablespace \"small\" has "));
  CHECK_THROWS_WITH_AS(backup::restore(backups.catalogue, subject, request, {}, {}, backups.keys, backups.clock, backups.reporter, a_minute()), doctest::Contains("the disk of tablespace \"small\" has "), Failure);
  CHECK(answer(server->tcp(), "SELECT count(*)::text FROM pg_database WHERE datname LIKE '" + shop.name + "_new%'") == "0");
  ask(shop.target(), "INSERT INTO large VALUES ('still writable')");
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
