// Concurrent builds that a kill -9 cuts off: what they leave is found, whatever its name.
#include "tests/integration/migrate/support.hpp"

using namespace codops;
using namespace codops::tests;

namespace {

// The build waits for an older transaction when it is killed, so it has left its index behind.
void kill_while_building(Database& db, const std::vector<migrate::File>& files) {
  auto older = db.open();
  older.run("BEGIN; UPDATE a SET n = n", soon());
  const auto child = apply_in_child(db, files);
  wait_until(db, "SELECT count(*) = 1 FROM pg_index WHERE NOT indisvalid");
  wait_until(db, "SELECT count(*) = 1 FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting%'");
  ::kill(child, SIGKILL);
  wait_child(child);
  wait_until(db, "SELECT count(*) = 0 FROM pg_stat_progress_create_index");
  older.run("COMMIT", soon());
  REQUIRE(db.value("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == "1");
}

std::string indexes(Database& db) {
  return db.value("SELECT string_agg(relname || CASE WHEN indisvalid THEN '' ELSE ' invalid' END, ', ' ORDER BY relname) FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE indrelid = 'a'::regclass");
}

}  // namespace

TEST_CASE("migrate indexes: kill -9 in the build of an index without a name leaves one, valid, in the end") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  up(db, {sql("1_a", "CREATE TABLE a AS SELECT n FROM generate_series(1, 100) n;")});
  const std::vector files{sql("1_a", ""), sql("2_i", "CREATE INDEX CONCURRENTLY ON a(n);\nALTER TABLE a ADD COLUMN done int;")};
  kill_while_building(db, files);
  CHECK(indexes(db) == "a_n_idx invalid");
  migrate::Options patient;
  patient.lock_wait = 20s;
  Heard heard;
  up(db, files, patient, &heard);
  CHECK(heard.has("is invalid"));
  CHECK(indexes(db) == "a_n_idx");

  // Killed between the end of the build and its record: nothing is built twice.
  const std::vector more{sql("1_a", ""), sql("2_i", ""), sql("3_i", "CREATE INDEX CONCURRENTLY ON a(done);\nALTER TABLE a ADD COLUMN more int;")};
  kill_while_building(db, more);
  db.run("DROP INDEX a_done_idx; CREATE INDEX ON a(done)");
  up(db, more, patient, &heard);
  CHECK(heard.has("was complete already"));
  CHECK(indexes(db) == "a_done_idx, a_n_idx");
  CHECK(db.value("SELECT count(*) FROM information_schema.columns WHERE table_name = 'a'") == "3");
}

TEST_CASE("migrate indexes: kill -9 in REINDEX CONCURRENTLY leaves no second index") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  up(db, {sql("1_a", "CREATE TABLE a AS SELECT n FROM generate_series(1, 100) n;\nCREATE INDEX ai ON a(n);")});
  migrate::Options patient;
  patient.lock_wait = 20s;
  int number = 2;
  std::vector files{sql("1_a", "")};
  for (const std::string what : {"INDEX CONCURRENTLY ai", "(CONCURRENTLY) TABLE a"}) {
    files.push_back(sql(std::to_string(number++) + "_r", "REINDEX " + what + ";"));
    kill_while_building(db, files);
    CHECK(indexes(db) == "ai, ai_ccnew invalid");
    Heard heard;
    up(db, files, patient, &heard);
    CHECK(heard.has("ai_ccnew is invalid"));
    CHECK(indexes(db) == "ai");
  }
}
