// What scripts do to the session that codops uses as well, and what the next attempt finds of it.
#include <fmt/format.h>

#include "tests/integration/migrate/support.hpp"

using namespace codops;
using namespace codops::tests;

TEST_CASE("migrate session: a NUL byte is refused with its place, before anything runs") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  const std::string script{"CREATE TABLE b(id int);\nSELECT 1;\0 CREATE TABLE c(id int);", 61};
  const auto failed = failure_of([&] { up(db, {sql("1_a", "CREATE TABLE a(id int);"), sql("2_b", script)}); });
  CHECK(failed.code() == Exit::data);
  CHECK(failed.message().find("2_b/migration.sql:2:10: a NUL byte") != std::string::npos);
  CHECK(db.value("SELECT to_regclass('a') IS NULL") == "t");
  CHECK(failure_of([&] { db.run(std::string{"SELECT 1;\0SELECT 2", 18}); }).message().find("NUL") != std::string::npos);
}

TEST_CASE("migrate session: a default that a script leaves read-only or serializable ends with the script") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  for (const auto* setting : {"SET default_transaction_read_only = on;", "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY;"}) {
    Database db{*server};
    up(db, {sql("1_a", setting), sql("2_b", "CREATE TABLE b AS SELECT current_setting('transaction_isolation') AS level;"),
            sql("3_c", fmt::format("CREATE INDEX CONCURRENTLY b_level ON b(level);\n{}\nSELECT 1;", setting)), sql("4_d", "CREATE TABLE d(id int);")});
    CHECK(db.history() == "1_a f- 1\n2_b f- 1\n3_c f- 1\n4_d f- 1\n");
  }
  Database db{*server};
  up(db, {sql("1_a", "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE;"), sql("2_b", "CREATE TABLE b AS SELECT current_setting('transaction_isolation') AS level;")});
  CHECK(db.value("SELECT level FROM b") == "read committed");
}

TEST_CASE("migrate session: what a function set is there again when a file continues") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  db.run("CREATE SCHEMA other; CREATE SCHEMA third");
  const std::string first = "SELECT pg_catalog.set_config('search_path', 'other', false);\nCREATE TABLE one(id int);\nCREATE INDEX CONCURRENTLY one_id ON one(id);\n"
                            "DO $$ BEGIN PERFORM set_config('app.tenant', 'blue', false); PERFORM set_config('work_mem', '7MB', false); END $$;\n"
                            "SELECT set_config('enable_seqscan', 'off', true);\n";
  const auto rest = [](const std::string& table) {
    return "CREATE TABLE " + table + " AS SELECT current_setting('app.tenant', true) AS tenant, current_setting('work_mem') AS memory, current_setting('enable_seqscan') AS scan;\n";
  };
  CHECK_NOTHROW(failure_of([&] { up(db, {sql("1_a", first + "SELECT nope;\n" + rest("two"))}); }));
  CHECK(db.value("SELECT to_regclass('other.one') IS NOT NULL") == "t");
  up(db, {sql("1_a", first + rest("two"))});
  CHECK(db.history() == "1_a f- 1\n");
  CHECK(db.value("SELECT tenant || ' ' || memory || ' ' || scan FROM other.two") == "blue 7MB on");

  // In the file's own transaction, where SET LOCAL looks the same until it ends.
  const std::string own = "BEGIN;\nSET LOCAL work_mem = '9MB';\nSELECT set_config('search_path', 'third', false);\nCREATE TABLE mine(id int);\nCOMMIT;\n";
  CHECK_NOTHROW(failure_of([&] { up(db, {sql("1_a", ""), sql("2_b", own + "SELECT nope;\n")}); }));
  up(db, {sql("1_a", ""), sql("2_b", own + rest("three"))});
  CHECK(db.value("SELECT memory FROM third.three") != "9MB");
}

TEST_CASE("migrate session: a file that runs statement by statement as another role") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  db.run("DO $$ BEGIN CREATE ROLE app_owner; EXCEPTION WHEN duplicate_object THEN NULL; END $$; CREATE SCHEMA app AUTHORIZATION app_owner");
  const std::string script = "SET ROLE app_owner;\nCREATE TABLE app.t(i int);\nCREATE INDEX CONCURRENTLY t_i ON app.t(i);\nCREATE TABLE app.u(i int);\nRESET ROLE;\nCREATE TABLE app.mine(i int);";
  up(db, {sql("1_a", script)});
  const auto owners = [&] { return db.value("SELECT string_agg(relname || ':' || pg_get_userbyid(relowner), ' ' ORDER BY relname) FROM pg_class WHERE relnamespace = 'app'::regnamespace AND relkind = 'r'"); };
  CHECK(owners() == "mine:postgres t:app_owner u:app_owner");
  // A failure in between is recorded, and the next attempt is that role again.
  const auto second = [](const std::string& middle) {
    return "SET SESSION AUTHORIZATION app_owner;\nCREATE INDEX CONCURRENTLY u_i ON app.u(i);\n" + middle + "CREATE TABLE app.v(i int);\nRESET SESSION AUTHORIZATION;\nSELECT 1;";
  };
  CHECK(failure_of([&] { up(db, {sql("1_a", script), sql("2_b", second("SELECT nope;\n"))}); }).message().find("2_b/migration.sql:3:8") != std::string::npos);
  up(db, {sql("1_a", script), sql("2_b", second(""))});
  CHECK(owners() == "mine:postgres t:app_owner u:app_owner v:app_owner");
  CHECK(db.history() == "1_a f- 1\n2_b f- 1\n");
}

TEST_CASE("migrate session: a script that gives the migration lock away is rolled back and named") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  db.run("CREATE SCHEMA aside; CREATE TABLE aside.log(n int)");
  for (const std::string before : {"", "CREATE INDEX CONCURRENTLY log_n ON aside.log(n);\n"}) {
    const auto failed = failure_of([&] { up(db, {sql("1_a", before + "INSERT INTO aside.log VALUES (1);\nDO $$ BEGIN INSERT INTO aside.log VALUES (2); PERFORM pg_advisory_unlock_all(); END $$;")}); });
    CHECK(failed.code() == Exit::failed);
    CHECK(failed.message().find("migration lock") != std::string::npos);
    CHECK(failed.message().find(before.empty() ? "1_a/migration.sql:2:1" : "1_a/migration.sql:3:1") != std::string::npos);
    CHECK(db.value("SELECT count(*) FROM aside.log WHERE n = 2") == "0");
  }
  CHECK(db.value("SELECT count(*) FROM _prisma_migrations WHERE finished_at IS NOT NULL") == "0");
}

TEST_CASE("migrate session: an error of codops' own row is not shown as a place in the script") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  for (const std::string script : {"SELECT 1;\n  DROP TABLE _prisma_migrations;\nSELECT 2;", "SELECT 1;\n  DROP SCHEMA public CASCADE;",
                                   "VACUUM pg_attrdef;\n  DROP TABLE _prisma_migrations;\nSELECT 2;"}) {
    Database db{*server};
    const auto failed = failure_of([&] { up(db, {sql("1_a", script)}); });
    CHECK(failed.message().find("can't be recorded") != std::string::npos);
    CHECK(failed.message().find("1_a/migration.sql:2:3") != std::string::npos);
    CHECK(failed.message().find("^") == std::string::npos);
    CHECK(db.value("SELECT to_regclass('public._prisma_migrations') IS NOT NULL") == "t");
  }
}
