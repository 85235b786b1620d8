#include <fmt/format.h>

#include "lib/migrate/script_error.hpp"
#include "tests/integration/migrate/support.hpp"

using namespace codops;
using namespace codops::tests;

TEST_CASE("migrate: applies in localeCompare order, records as Prisma does, then has nothing to do") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  const std::vector files{sql("20240101000000_a", "CREATE TABLE a(id int);\n"), sql("0_init", "CREATE TABLE zero(id int)"),
                          sql("20240101000000_B", "ALTER TABLE a ADD COLUMN b int; CREATE INDEX ON a(b);"),
                          migrate::File{"migration_lock.toml", "provider = \"postgresql\"\n"}};
  const auto outcome = up(db, files);
  REQUIRE(outcome.applied.size() == 3);
  CHECK(db.history() == "0_init f- 1\n20240101000000_a f- 1\n20240101000000_B f- 1\n");
  CHECK(db.value("SELECT count(*) FROM _prisma_migrations WHERE finished_at >= started_at AND id ~ "
                 "'^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$'") == "3");
  CHECK(db.value("SELECT checksum FROM _prisma_migrations WHERE migration_name = '0_init'") ==
        db.value("SELECT encode(sha256('CREATE TABLE zero(id int)'), 'hex')"));
  CHECK(up(db, files).applied.empty());
  CHECK(db.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == "0");
}

TEST_CASE("migrate: a failing script leaves nothing, shows line, caret and detail, and may be retried at once") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  auto files = std::vector{sql("1_ok", "CREATE TABLE t(id int PRIMARY KEY);"),
                           sql("2_bad", "CREATE TABLE u(id int);\n\nSELECT 'ü',\n\tnope FROM t;\n")};
  try {
    up(db, files);
    FAIL("no failure");
  } catch (const migrate::MigrationFailed& failed) {
    CHECK(failed.code() == Exit::failed);
    CHECK(failed.error().line == 4);
    CHECK(failed.error().column == 2);
    CHECK(failed.error().diagnostic.sqlstate == "42703");
    CHECK(failed.error().excerpt == std::vector<std::string>{"\tnope FROM t;", "\t^"});
    CHECK(failed.message().find("2_bad/migration.sql:4:2") != std::string::npos);
    CHECK(failed.error().statement.starts_with("SELECT 'ü'"));
  }
  CHECK(db.value("SELECT to_regclass('u') IS NULL") == "t");
  CHECK(db.history() == "1_ok f- 1\n2_bad -r 0 logs\n");

  // No position from the server: the statement is found by how many were done before it.
  files[1] = sql("2_bad", "INSERT INTO t VALUES (1);\n-- twice\n  INSERT INTO t VALUES (1);\n");
  try {
    up(db, files);
    FAIL("no failure");
  } catch (const migrate::MigrationFailed& failed) {
    CHECK(failed.error().line == 3);
    CHECK(failed.error().diagnostic.detail == "Key (id)=(1) already exists.");
    CHECK(failed.error().diagnostic.constraint == "t_pkey");
  }
  files[1] = sql("2_bad", "INSERT INTO t VALUES (1);");
  CHECK(up(db, files).applied.size() == 1);
  CHECK(db.history() == "1_ok f- 1\n2_bad -r 0 logs\n2_bad -r 0 logs\n2_bad f- 1\n");

  // A deferred constraint fails only at COMMIT.
  files.push_back(sql("3_deferred", "CREATE TABLE r(id int REFERENCES t DEFERRABLE INITIALLY DEFERRED);\nINSERT INTO r VALUES (99);"));
  CHECK(failure_of([&] { up(db, files); }).message().find("23503") != std::string::npos);
  CHECK(db.value("SELECT to_regclass('r') IS NULL") == "t");
}

TEST_CASE("migrate: ?schema= is made, used and recorded in") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  auto target = server->local(db.name);
  target.schema = "my Shop";
  auto connection = pg::Connection::open(target, soon());
  Heard heard;
  migrate::apply({sql("1_a", "CREATE TABLE goods(id int);")}, connection, {}, heard, soon());
  CHECK(db.value("SELECT count(*) FROM pg_tables WHERE schemaname = 'my Shop'") == "2");
  CHECK(db.value("SELECT to_regclass('public._prisma_migrations') IS NULL") == "t");
}

TEST_CASE("migrate: P3005, P3009, P3015, P3019 and resolve's refusals") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  const std::vector files{sql("1_a", "CREATE TABLE a(id int);"), sql("2_b", "CREATE TABLE b(id int);")};
  const auto source = migrate::recognise(files);
  Heard heard;
  {
    Database db{*server};
    db.run("CREATE VIEW v AS SELECT 1; CREATE TYPE e AS ENUM ('x'); CREATE SEQUENCE s; CREATE TABLE p(i int) PARTITION BY LIST (i)");
    CHECK(up(db, files).applied.size() == 2);
  }
  Database db{*server};
  db.run("CREATE TABLE already(id int)");
  CHECK(failure_of([&] { up(db, files); }).message().find("P3005") != std::string::npos);
  CHECK(migrate::baseline(source, db.connection, "1_a", {}, heard, soon()) == std::vector<std::string>{"1_a"});
  CHECK(db.history() == "1_a f- 0 logs\n");
  CHECK(db.value("SELECT logs = '' AND finished_at = started_at FROM _prisma_migrations") == "t");
  CHECK(up(db, files).applied.size() == 1);

  db.run("INSERT INTO _prisma_migrations(id, checksum, migration_name, logs) VALUES ('x', 'y', '3_c', 'boom')");
  auto more = files;
  more.push_back(sql("3_c", "CREATE TABLE c(id int);"));
  const auto three = migrate::recognise(more);
  CHECK(failure_of([&] { up(db, more); }).message().find("P3009") != std::string::npos);
  const auto refused = [&](const auto& action) { return failure_of(action).message(); };
  CHECK(refused([&] { migrate::resolve_applied(three, db.connection, "9_x", {}, heard, soon()); }).find("P3017") != std::string::npos);
  CHECK(refused([&] { migrate::resolve_applied(three, db.connection, "1_a", {}, heard, soon()); }).find("P3008") != std::string::npos);
  CHECK(refused([&] { migrate::resolve_rolled_back(three, db.connection, "9_x", {}, heard, soon()); }).find("P3011") != std::string::npos);
  CHECK(refused([&] { migrate::resolve_rolled_back(three, db.connection, "1_a", {}, heard, soon()); }).find("P3012") != std::string::npos);
  migrate::resolve_rolled_back(three, db.connection, "3_c", {}, heard, soon());
  CHECK(up(db, more).applied.size() == 1);

  more.push_back({"4_empty/", ""});
  CHECK(failure_of([&] { up(db, more); }).message().find("P3015") != std::string::npos);
  more.push_back({"migration_lock.toml", "provider = \"mysql\"\n"});
  CHECK(failure_of([&] { up(db, more); }).message().find("P3019") != std::string::npos);
}

TEST_CASE("migrate: status knows applied, pending, edited, missing, failed, out of order") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  auto files = std::vector{sql("1_a", "CREATE TABLE a(id int);\n"), sql("3_c", "CREATE TABLE c(id int);\n")};
  const auto status = [&] { return migrate::status(migrate::recognise(files), db.connection, true, soon()); };
  CHECK(status().exit() == Exit::unhealthy);
  up(db, files);
  CHECK(status().exit() == Exit::ok);
  files[0].content = "CREATE TABLE a(id int);\r\n";  // only the line's end
  CHECK(status().exit() == Exit::ok);
  files.push_back(sql("2_b", "CREATE TABLE b(id int);"));
  CHECK(status().exit() == Exit::unhealthy);
  CHECK(status().any_out_of_order());
  files[0].content = "CREATE TABLE a(id int)";
  CHECK(status().count(migrate::State::edited) == 1);
  CHECK(status().exit() == Exit::data);
  files.erase(files.begin());
  CHECK(status().count(migrate::State::missing) == 1);
  db.run("INSERT INTO _prisma_migrations(id, checksum, migration_name) VALUES ('x', 'y', '2_b')");
  CHECK(status().exit() == Exit::failed);
}
