// dbmate and golang-migrate: no history is begun over tables that are there, unless it is asked for.
#include "tests/integration/migrate/support.hpp"

using namespace codops;
using namespace codops::tests;

TEST_CASE("migrate: a history of dbmate or golang-migrate is not begun in a schema that has tables") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  const std::string add = "CREATE TABLE IF NOT EXISTS a(id int); INSERT INTO a VALUES (1);";
  const std::vector<std::vector<migrate::File>> layouts{{{"20240101_a.sql", "-- migrate:up\n" + add}}, {{"1_a.up.sql", add}}};
  for (const auto& files : layouts) {
    const auto source = migrate::recognise(files);
    CAPTURE(migrate::name_of(source.layout));
    Database db{*server};
    db.run("CREATE TABLE a(id int); INSERT INTO a VALUES (1)");
    for (int run = 0; run < 2; ++run) {
      const auto failed = failure_of([&] {
        if (run == 0) up(db, files);
        else migrate::pending(files, db.connection, {}, soon());
      });
      CHECK(failed.code() == Exit::failed);
      CHECK(failed.message().find("has tables (\"a\") but no migration history, \"public\".\"schema_migrations\"") != std::string::npos);
      CHECK(failed.hint().find("baseline ENV --to NAME") != std::string::npos);
      CHECK(failed.hint().find("baseline ENV --empty") != std::string::npos);
    }
    CHECK(db.value("SELECT count(*) || ' ' || (to_regclass('schema_migrations') IS NULL) FROM a") == "1 true");
    Heard heard;
    CHECK(migrate::begin_history(source, db.connection, {}, heard, soon()));
    CHECK_FALSE(migrate::begin_history(source, db.connection, {}, heard, soon()));
    CHECK(up(db, files).applied.size() == 1);
    CHECK(db.value("SELECT count(*) FROM a") == "2");
    // What is an extension's, a view's or another schema's does not stand in the way.
    Database other{*server};
    other.run("CREATE EXTENSION citext; CREATE VIEW v AS SELECT 1; CREATE SCHEMA s; CREATE TABLE s.t(id int)");
    CHECK(up(other, files).applied.size() == 1);
  }
}
