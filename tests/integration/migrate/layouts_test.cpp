// The other tools' tables, verify and db init on a real server.
#include "lib/migrate/analysis.hpp"
#include "lib/migrate/provision.hpp"
#include "lib/migrate/verify.hpp"
#include "tests/integration/migrate/support.hpp"

using namespace codops;
using namespace codops::tests;

TEST_CASE("migrate: dbmate's table, sections and transaction:false") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  std::vector<migrate::File> files{{"20240101_a.sql", "-- migrate:up\nCREATE TABLE a(id int);\n-- migrate:down\nDROP TABLE a;\n"},
                                   {"20240102_b.sql", "-- migrate:up transaction:false\nCREATE INDEX CONCURRENTLY ai ON a(id);\nSELECT nope;\n-- migrate:down\nDROP INDEX ai;\n"}};
  const auto failed = failure_of([&] { up(db, files); });
  CHECK(failed.message().find("20240102_b.sql:3:8") != std::string::npos);
  CHECK(db.value("SELECT string_agg(version, ',') FROM schema_migrations") == "20240101");
  CHECK(migrate::status(migrate::recognise(files), db.connection, true, soon()).count(migrate::State::unfinished) == 1);
  files[1].content = "-- migrate:up transaction:false\nCREATE INDEX CONCURRENTLY ai ON a(id);\nSELECT 1;\n-- migrate:down\nDROP INDEX ai;\n";
  CHECK(up(db, files).applied.size() == 1);
  CHECK(db.value("SELECT string_agg(version, ',' ORDER BY version) FROM schema_migrations") == "20240101,20240102");
  CHECK(db.value("SELECT to_regclass('codops_migration_progress') IS NULL") == "t");
  Heard heard;
  CHECK(migrate::down(migrate::recognise(files), db.connection, 2, "", {}, heard, soon()).applied.size() == 2);
  CHECK(db.value("SELECT count(*) FROM schema_migrations") == "0");
}

TEST_CASE("migrate: golang-migrate's one row, dirty in between, down to the one before") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  const std::vector<migrate::File> files{{"1_a.up.sql", "CREATE TABLE a(id int);"}, {"1_a.down.sql", "DROP TABLE a;"}, {"2_b.up.sql", "CREATE TABLE b(id int);"}, {"2_b.down.sql", "DROP TABLE b;"}};
  CHECK(up(db, files).applied.size() == 2);
  CHECK(db.value("SELECT version || ' ' || dirty FROM schema_migrations") == "2 false");
  Heard heard;
  migrate::down(migrate::recognise(files), db.connection, 1, "", {}, heard, soon());
  CHECK(db.value("SELECT version || ' ' || dirty FROM schema_migrations") == "1 false");
  db.run("UPDATE schema_migrations SET dirty = true");
  CHECK(failure_of([&] { up(db, files); }).message().find("failed") != std::string::npos);
}

TEST_CASE("migrate: Flyway's table with ranks, checksums and repeatables") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  std::vector<migrate::File> files{{"V1__first_one.sql", "CREATE TABLE a(id int);\n"}, {"R__views.sql", "CREATE OR REPLACE VIEW v AS SELECT id FROM a;\n"}};
  up(db, files);
  CHECK(db.value("SELECT string_agg(installed_rank || '|' || coalesce(version, '-') || '|' || description || '|' || type || '|' || script || '|' || success, ' ' ORDER BY installed_rank) FROM "
                 "flyway_schema_history") == "1|1|first one|SQL|V1__first_one.sql|true 2|-|views|SQL|R__views.sql|true");
  CHECK(up(db, files).applied.empty());
  files[1].content += "-- changed\n";
  CHECK(up(db, files).applied.size() == 1);
  CHECK(db.value("SELECT count(*) FROM flyway_schema_history") == "3");
  files[0].content = "CREATE TABLE a(id bigint);\n";
  CHECK(migrate::status(migrate::recognise(files), db.connection, true, soon()).count(migrate::State::edited) == 1);
}

TEST_CASE("migrate: Flyway's versions 1 and 1.0 are one; down passes a repeatable script over") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  std::vector<migrate::File> files{{"V1__a.sql", "CREATE TABLE a(id int);\n"}, {"V2__b.sql", "CREATE TABLE b(id int);\n"}, {"U2__b.sql", "DROP TABLE b;\n"}, {"R__v.sql", "CREATE OR REPLACE VIEW v AS SELECT 1;\n"}};
  up(db, files);
  Heard heard;
  const auto taken = migrate::down(migrate::recognise(files), db.connection, 1, "", {}, heard, soon());
  REQUIRE(taken.applied.size() == 1);
  CHECK(taken.applied[0].name == "V2__b");
  CHECK(db.value("SELECT to_regclass('b') IS NULL") == "t");
  files[0].path = "V1.0__a.sql";
  CHECK(migrate::status(migrate::recognise(files), db.connection, true, soon()).count(migrate::State::missing) == 0);
  CHECK(up(db, files).applied.size() == 1);
}

TEST_CASE("migrate: golang-migrate's row at a version that no file has stops everything") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  const std::vector<migrate::File> files{{"1_a.up.sql", "CREATE TABLE a(id int);"}, {"1_a.down.sql", "DROP TABLE a;"}};
  up(db, files);
  db.run("UPDATE schema_migrations SET version = 99");
  const auto failed = failure_of([&] { up(db, files); });
  CHECK(failed.code() == Exit::data);
  CHECK(failed.message() == "the database is at version 99, and there is no file of that version");
  Heard heard;
  CHECK(failure_of([&] { migrate::down(migrate::recognise(files), db.connection, 1, "", {}, heard, soon()); }).code() == Exit::data);
  CHECK(db.value("SELECT to_regclass('a') IS NOT NULL") == "t");
}

TEST_CASE("migrate: standard_conforming_strings off in the script, and as the database's default") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  const std::string insert = "INSERT INTO t VALUES ('it\\'s; so');\n";
  up(db, {sql("1_a", "CREATE TABLE t(t text);\nSET standard_conforming_strings = off;\n" + insert)});
  CHECK(db.value("SELECT t FROM t") == "it's; so");
  db.run("ALTER DATABASE \"" + db.name + "\" SET standard_conforming_strings = off");
  db.connection = db.open();
  up(db, {sql("1_a", ""), sql("2_b", insert + "CREATE INDEX CONCURRENTLY t_t ON t(t);\n" + insert)});
  CHECK(db.value("SELECT count(*) FROM t WHERE t = 'it''s; so'") == "3");
}

TEST_CASE("migrate plan: a schema's tables, and a table that was never analysed") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  db.run("CREATE SCHEMA app; CREATE TABLE app.one WITH (autovacuum_enabled = false) AS SELECT i FROM generate_series(1, 2000) i; CREATE TABLE app.two(id int)");
  const std::vector files{sql("1_a", "ALTER TABLE app.one ADD CONSTRAINT c CHECK (i > 0);\nDROP SCHEMA app CASCADE;")};
  const auto plan = migrate::plan(migrate::pending(files, db.connection, {}, soon()), db.connection, false, soon());
  REQUIRE(plan.size() == 1);
  REQUIRE(plan[0].statements[1].effects.size() == 2);
  CHECK(plan[0].statements[1].effects[0].effect.table.shown() == "app.one");
  CHECK(plan[0].statements[1].effects[1].effect.lock == migrate::Lock::access_exclusive);
  const auto text = migrate::to_text(plan);
  CHECK(text.find("\"app.one\" (never analysed, ") != std::string::npos);
  CHECK(text.find("0 rows") == std::string::npos);
  CHECK(migrate::to_json(plan).find("\"rows\": null") != std::string::npos);
}

TEST_CASE("migrate plan: a lock lasts to the transaction's end, and what can't be known isn't an instant") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  db.run("CREATE TABLE hot(id int); CREATE TABLE big AS SELECT g AS id, repeat('x', 200) AS x FROM generate_series(1, 50000) g; CREATE TABLE ref(id int PRIMARY KEY); "
         "CREATE TABLE of_ref(id int REFERENCES ref(id)); ANALYZE");
  const auto planned = [&](const std::string& text) {
    migrate::Migration one;
    one.key = one.name = "m";
    one.path = "m/migration.sql";
    one.script = text;
    return migrate::plan({one}, db.connection, false, soon()).at(0);
  };
  const auto own = planned("BEGIN; ALTER TABLE hot ADD y int; UPDATE big SET x = ''; COMMIT; ALTER TABLE hot ADD z int;");
  CHECK(own.statements[1].effects[0].held > 100ms);
  CHECK(own.statements[4].effects[0].held < 100ms);
  const auto some = planned("ALTER TABLE hot ADD y int; UPDATE big SET x = '' WHERE id > 0;");
  CHECK(some.statements[0].effects[0].held > 100ms);
  CHECK(some.statements[0].effects[0].known == migrate::Known::at_most);
  CHECK(migrate::to_json({some}).find("\"held\": \"at most\"") != std::string::npos);
  CHECK(planned("ALTER TABLE hot ADD y int; INSERT INTO hot SELECT id FROM big;").statements[0].effects[0].known == migrate::Known::at_least);
  CHECK(planned("ALTER TABLE hot ADD y int; INSERT INTO hot VALUES (1);").statements[0].effects[0].known == migrate::Known::about);
  const auto unseen = planned("ALTER TABLE hot ADD y int; SELECT rebuild();");
  CHECK(migrate::to_text({unseen}).find("? calls rebuild(): what that locks") != std::string::npos);
  CHECK(migrate::to_json({unseen}).find("\"unseen\": \"calls rebuild()\"") != std::string::npos);
  CHECK(migrate::to_text({unseen}).find("for an instant") == std::string::npos);

  // Another name, the same rows; what is only known by its size is read again when its turn comes.
  const auto renamed = planned("ALTER TABLE big RENAME TO big2; CREATE INDEX ix ON big2(x);");
  CHECK(renamed.statements[1].effects[0].table.rows == 50000);
  const auto later = planned("DROP TABLE of_ref; ALTER TABLE ref DROP CONSTRAINT ref_pkey CASCADE;");
  CHECK(later.statements[1].effects.size() == 2);
  const auto checked = planned("ALTER TABLE big ADD CONSTRAINT k CHECK (id IS NOT NULL); ALTER TABLE big DROP CONSTRAINT k; ALTER TABLE big ALTER id SET NOT NULL;");
  CHECK(checked.statements[2].effects[0].effect.work == migrate::Work::scan);
}

TEST_CASE("migrate plan: real sizes, the column's real type, the dropped index's table") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  const std::vector first{sql("1_t", "CREATE TABLE t(id int, name varchar(10)); CREATE INDEX t_id ON t(id); INSERT INTO t SELECT i, 'x' FROM generate_series(1, 50000) i;")};
  up(db, first);
  db.run("ANALYZE t");
  auto files = first;
  files.push_back(sql("2_x", "ALTER TABLE t ALTER name TYPE varchar(20);\nDROP INDEX t_id;\nCREATE TABLE u(id int);\nCREATE INDEX ON u(id);\nCREATE INDEX n ON t(name);"));
  const auto plan = migrate::plan(migrate::pending(files, db.connection, {}, soon()), db.connection, false, soon());
  REQUIRE(plan.size() == 1);
  CHECK(plan[0].statements[0].effects[0].effect.work == migrate::Work::metadata);
  CHECK(plan[0].statements[1].effects[0].effect.table.name == "t");
  CHECK(plan[0].statements[3].effects.empty());
  CHECK(plan[0].statements[4].effects[0].table.rows == 50000);
  // The first lock is kept until the end of the transaction.
  CHECK(plan[0].statements[0].effects[0].held > plan[0].statements[4].effects[0].held);
  CHECK(migrate::to_text(plan).find("50 k rows") != std::string::npos);
}

TEST_CASE("migrate verify: equal, then what somebody changed by hand; the scratch database is gone") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  const std::vector files{sql("1_a", "CREATE EXTENSION IF NOT EXISTS pgcrypto;\nCREATE TYPE mood AS ENUM ('a', 'b');\nCREATE TABLE a(id serial PRIMARY KEY, m mood DEFAULT 'a');\n"
                                     "CREATE INDEX am ON a(m);\nCREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';\nCREATE VIEW v AS SELECT * FROM a;")};
  up(db, files);
  Heard heard;
  const auto verify = [&] { return migrate::verify(migrate::recognise(files), db.connection, {}, true, {}, heard, soon()); };
  CHECK(verify().differences.empty());
  db.run("ALTER TABLE a ADD COLUMN by_hand int; DROP INDEX am; ALTER TYPE mood ADD VALUE 'c'");
  const auto found = verify();
  const auto text = migrate::to_text(found);
  CAPTURE(text);
  CHECK(text.find("+ column public.a.by_hand") != std::string::npos);
  CHECK(text.find("- index public.am") != std::string::npos);
  CHECK(text.find("~ type public.mood") != std::string::npos);
  CHECK(found.differences.size() == 3);
  CHECK(db.value("SELECT count(*) FROM pg_database WHERE datname LIKE 'codops\\_verify%'") == "0");
}

TEST_CASE("db init: makes role, database, extensions and grants once, waits for the server") {
  const auto server = PostgresServer::start();
  if (!server) return;
  server->stop();
  // A child dies with the thread that started it: this one stays until the test is over.
  CancelSource over;
  std::jthread later{[&] {
    Limits{Deadline::after(300ms), {}}.wait(-1, 0);
    server->resume();
    try {
      Limits{Deadline::never(), over.token()}.wait(-1, 0);
    } catch (const Failure&) {
    }
  }};
  const struct EndsWithTheTest {
    CancelSource& source;
    ~EndsWithTheTest() { source.cancel(Exit::interrupted); }
  } ends{over};
  const migrate::Provision wanted{"shop", "shop_owner", Secret{"pg-c4nary-owner"}, {"pgcrypto", "citext"}};
  Heard heard;
  const auto first = migrate::provision(wanted, server->tcp(), heard, soon());
  CHECK(first.made.size() >= 4);
  auto owner = server->tcp("shop");
  owner.user = "shop_owner";
  owner.password = wanted.owner_password;
  auto connection = pg::Connection::open(owner, soon());
  connection.run("CREATE TABLE mine(id int); SELECT gen_random_uuid()", soon());
  CHECK(connection.query("SELECT has_schema_privilege('pg_monitor', 'public', 'CREATE')", soon()).boolean(0, 0) == false);
  const auto again = migrate::provision(wanted, server->tcp(), heard, soon());
  CHECK(again.made.empty());
  CHECK(again.unchanged.size() == first.made.size() + first.unchanged.size());
  CHECK(heard.notes.find("c4nary") == std::string::npos);
}
