// Taking back: what is the last one, and a down script that stops in the middle.
#include "tests/integration/migrate/support.hpp"

using namespace codops;
using namespace codops::tests;

namespace {

std::size_t down(Database& db, const std::vector<migrate::File>& files, std::size_t count = 1, const std::string& to = "") {
  Heard heard;
  return migrate::down(migrate::recognise(files), db.connection, count, to, {}, heard, soon()).applied.size();
}

migrate::Ledger status(Database& db, const std::vector<migrate::File>& files) { return migrate::status(migrate::recognise(files), db.connection, true, soon()); }

void resolve(Database& db, const std::vector<migrate::File>& files, bool applied) {
  Heard heard;
  const auto action = applied ? migrate::resolve_applied : migrate::resolve_rolled_back;
  action(migrate::recognise(files), db.connection, migrate::recognise(files).migrations.back().name, {}, heard, soon());
}

// The second of two, whose down script runs statement by statement and fails at its third while `t` has no row.
constexpr const char* makes = "CREATE TABLE t(id int, x int);\nCREATE INDEX i1 ON t(id);\nCREATE INDEX i2 ON t(x);\n";
constexpr const char* drops = "DROP INDEX CONCURRENTLY i1;\nDROP INDEX CONCURRENTLY i2;\nSELECT 1/(SELECT count(*) FROM t);\nDROP TABLE t;\n";

std::vector<migrate::File> of_layout(migrate::Layout layout) {
  switch (layout) {
    case migrate::Layout::prisma: return {sql("1_a", "SELECT 1;"), {"1_a/down.sql", ""}, sql("2_b", makes), {"2_b/down.sql", drops}};
    case migrate::Layout::dbmate: return {{"1_a.sql", "-- migrate:up\n-- migrate:down\n"}, {"2_b.sql", std::string{"-- migrate:up\n"} + makes + "-- migrate:down\n" + drops}};
    case migrate::Layout::golang_migrate: return {{"1_a.up.sql", "SELECT 1;"}, {"1_a.down.sql", ""}, {"2_b.up.sql", makes}, {"2_b.down.sql", drops}};
    case migrate::Layout::flyway: return {{"V1__a.sql", "SELECT 1;"}, {"V2__b.sql", makes}, {"U2__b.sql", drops}};
  }
  return {};
}

}  // namespace

TEST_CASE("migrate: down runs the down script and forgets the row, in one transaction") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  std::vector files{sql("1_a", "CREATE TABLE a(id int);"), sql("2_b", "CREATE TABLE b(id int);"), migrate::File{"2_b/down.sql", "DROP TABLE b;"}};
  up(db, files);
  CHECK(down(db, files) == 1);
  CHECK(db.history() == "1_a f- 1\n");
  CHECK(db.value("SELECT to_regclass('b') IS NULL") == "t");
  CHECK(failure_of([&] { down(db, files); }).message().find("no down script") != std::string::npos);
  CHECK(up(db, files).applied.size() == 1);
}

TEST_CASE("migrate: down takes nothing back below one whose file is gone") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  const std::vector<std::vector<migrate::File>> layouts{
      {sql("1_a", "CREATE TABLE t1()"), {"1_a/down.sql", "DROP TABLE t1"}, sql("2_b", "CREATE TABLE t2()"), {"2_b/down.sql", "DROP TABLE t2"}, sql("3_c", "CREATE TABLE t3()")},
      {{"1_a.sql", "-- migrate:up\nCREATE TABLE t1();\n-- migrate:down\nDROP TABLE t1;"}, {"2_b.sql", "-- migrate:up\nCREATE TABLE t2();\n-- migrate:down\nDROP TABLE t2;"},
       {"3_c.sql", "-- migrate:up\nCREATE TABLE t3();"}},
      {{"V1__a.sql", "CREATE TABLE t1();"}, {"U1__a.sql", "DROP TABLE t1;"}, {"V2__b.sql", "CREATE TABLE t2();"}, {"U2__b.sql", "DROP TABLE t2;"}, {"R__r.sql", "SELECT 1;"}, {"V3__c.sql", "CREATE TABLE t3();"}}};
  for (auto files : layouts) {
    Database db{*server};
    up(db, files);
    files.pop_back();
    for (const auto& failed : {failure_of([&] { down(db, files); }), failure_of([&] { down(db, files, 2); }), failure_of([&] { down(db, files, 1, migrate::recognise(files).migrations[0].name); })}) {
      CHECK(failed.code() == Exit::data);
      CHECK(failed.message().find("has no file") != std::string::npos);
    }
    CHECK(db.value("SELECT to_regclass('t1') IS NOT NULL AND to_regclass('t2') IS NOT NULL") == "t");
  }
  // One that stands before is in nobody's way.
  Database db{*server};
  auto files = layouts[0];
  files.push_back({"3_c/down.sql", "DROP TABLE t3"});
  up(db, files);
  files.erase(files.begin(), files.begin() + 2);
  CHECK(down(db, files, 2) == 2);
  CHECK(failure_of([&] { down(db, files); }).code() == Exit::data);
  CHECK(db.history() == "1_a f- 1\n");
}

TEST_CASE("migrate: down takes nothing back below one that stopped in the middle") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  const std::vector files{sql("1_a", "CREATE TABLE t(id int);"), migrate::File{"1_a/down.sql", "DROP TABLE t;"}, sql("2_b", "CREATE INDEX CONCURRENTLY i ON t(id);\nSELECT 1/0;")};
  CHECK(failure_of([&] { up(db, files); }).message().find("1 of 2 statements") != std::string::npos);
  const auto failed = failure_of([&] { down(db, files); });
  CHECK(failed.code() == Exit::failed);
  CHECK(failed.message().find("\"2_b\" stopped between statements") != std::string::npos);
  CHECK(db.value("SELECT to_regclass('t') IS NOT NULL") == "t");
  resolve(db, files, false);
  CHECK(down(db, files) == 1);
}

TEST_CASE("migrate: a down script that stopped in the middle is known to everybody, and goes on") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  using migrate::Layout;
  for (const auto layout : {Layout::prisma, Layout::dbmate, Layout::golang_migrate, Layout::flyway}) {
    CAPTURE(migrate::name_of(layout));
    Database db{*server};
    const auto files = of_layout(layout);
    const auto stop = [&] {
      const auto failed = failure_of([&] { down(db, files); });
      CHECK(failed.message().find("2 of 4 statements are done") != std::string::npos);
      const auto ledger = status(db, files);
      CHECK(ledger.exit() == Exit::failed);
      CHECK(ledger.items.back().taking_back);
      CHECK(ledger.items.front().state == migrate::State::applied);
      CHECK(failure_of([&] { up(db, files); }).message().find("half taken back") != std::string::npos);
    };
    up(db, files);
    stop();
    // Its effects are made again by hand.
    db.run("CREATE INDEX i1 ON t(id); CREATE INDEX i2 ON t(x)");
    resolve(db, files, true);
    CHECK(status(db, files).exit() == Exit::ok);
    stop();
    // The rest is undone by hand.
    db.run("DROP TABLE t");
    resolve(db, files, false);
    CHECK(status(db, files).count(migrate::State::pending) == 1);
    CHECK(up(db, files).applied.size() == 1);
    stop();
    db.run("INSERT INTO t VALUES (1)");
    CHECK(down(db, files) == 1);
    CHECK(db.value("SELECT to_regclass('t') IS NULL AND to_regclass('codops_migration_progress') IS NULL") == "t");
    CHECK(status(db, files).count(migrate::State::applied) == 1);
    CHECK(up(db, files).applied.size() == 1);
  }
}
