// Statement by statement: an error is no cut-off, limits are codops' own, a busy table is waited for.
#include <fmt/format.h>

#include <mutex>

#include "lib/io/files.hpp"
#include "tests/integration/migrate/support.hpp"

using namespace codops;
using namespace codops::tests;

TEST_CASE("migrate stepwise: a statement that failed is not taken for done by the next run") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  const std::string table = "CREATE TABLE t(a int, b int, c int);\nINSERT INTO t VALUES (1, 1, 1), (1, 1, 1);\nCREATE INDEX ix ON t(b);\n";
  const std::string backfill = "CREATE PROCEDURE backfill() LANGUAGE plpgsql AS $$ BEGIN UPDATE t SET a = 2; COMMIT; UPDATE nowhere SET a = 2; END $$;\n";
  for (const std::string statement :
       {"CREATE UNIQUE INDEX CONCURRENTLY ix ON t(c);", "CREATE UNIQUE INDEX CONCURRENTLY ON t(a);", "CALL backfill();", "DO $$ BEGIN UPDATE t SET a = 2; COMMIT; UPDATE nowhere SET a = 2; END $$;",
        "DROP INDEX CONCURRENTLY ixx;", "REINDEX INDEX CONCURRENTLY ixx;", "VACUUM (ANALYZE) tt;", "DROP DATABASE codops_nowhere;"}) {
    CAPTURE(statement);
    Database db{*server};
    up(db, {sql("1_a", table + backfill)});
    const std::vector files{sql("1_a", ""), sql("2_b", statement + "\nCREATE TABLE behind(id int);")};
    const auto first = failure_of([&] { up(db, files); });
    db.run("CREATE INDEX ON t(c)");
    const auto second = failure_of([&] { up(db, files); });
    CHECK(second.message() == first.message());
    CHECK(migrate::status(migrate::recognise(files), db.connection, true, soon()).exit() == Exit::failed);
    CHECK(db.value("SELECT to_regclass('behind') IS NULL") == "t");
  }
}

TEST_CASE("migrate stepwise: a corrected file whose first attempt got nothing done runs in one transaction") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  const std::string plain = "CREATE TABLE t(id int);\nCREATE TABLE u(id int);\nSELECT 1/0;";
  Database db{*server};
  CHECK_NOTHROW(failure_of([&] { up(db, {sql("1_a", "CREATE INDEX CONCURRENTLY ON nowhere(id);\n" + plain)}); }));
  CHECK(failure_of([&] { up(db, {sql("1_a", plain)}); }).message().find("nothing of it stays") != std::string::npos);
  CHECK(db.history() == "1_a -r 0 logs\n1_a -r 0 logs\n");
  Database other{*server};
  const auto golang = [](const std::string& second) { return std::vector<migrate::File>{{"1_a.up.sql", "SELECT 1;"}, {"2_b.up.sql", second}}; };
  CHECK_NOTHROW(failure_of([&] { up(other, golang("CREATE INDEX CONCURRENTLY ON nowhere(id);\n" + plain)); }));
  CHECK_NOTHROW(failure_of([&] { up(other, golang(plain)); }));
  CHECK(other.value("SELECT version || ' ' || dirty FROM schema_migrations") == "1 false");
  CHECK(other.value("SELECT to_regclass('t') IS NULL AND to_regclass('codops_migration_progress') IS NULL") == "t");
}

TEST_CASE("migrate stepwise: the file's own transaction is tried again when a table is busy") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  up(db, {sql("1_t", "CREATE TABLE t(i int);")});
  const std::vector files{sql("1_t", ""), sql("2_c", "BEGIN;\nINSERT INTO t VALUES (7);\nALTER TABLE t ADD COLUMN c int;\nCOMMIT;\nCREATE TABLE behind(id int);")};
  auto other = db.open();
  other.run("SET application_name = 'reporting'; BEGIN; SELECT * FROM t", soon());
  migrate::Options options;
  options.lock_timeout = 700ms;
  options.lock_attempts = 1;
  Heard heard;
  const auto failed = failure_of([&] { up(db, files, options, &heard); });
  CHECK(failed.message().find("nothing of it stays") != std::string::npos);
  CHECK(failed.message().find("reporting") != std::string::npos);
  CHECK(failed.hint().find("--lock-timeout") != std::string::npos);
  CHECK(db.history() == "1_t f- 1\n2_c -r 0 logs\n");  // either tool may run it at once

  options.lock_attempts = 10;
  std::thread later{[&] {
    Limits{Deadline::after(1500ms), {}}.wait(-1, 0);
    other.run("COMMIT", soon());
  }};
  CHECK(up(db, files, options, &heard).applied.size() == 1);
  later.join();
  CHECK(heard.has("55P03"));
  CHECK(heard.has("held by pid"));
  CHECK(db.value("SELECT count(*) FROM t") == "1");
  CHECK(db.history() == "1_t f- 1\n2_c -r 0 logs\n2_c f- 1\n");
}

TEST_CASE("migrate stepwise: no limit means none, whatever the server's is") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  db.run("ALTER DATABASE \"" + db.name + "\" SET statement_timeout = '300ms'; ALTER DATABASE \"" + db.name + "\" SET lock_timeout = '300ms'");
  db.connection = db.open();
  migrate::Options options;
  options.lock_timeout = 0ms;
  up(db, {sql("1_t", "CREATE TABLE t(i int);\nSELECT pg_sleep(0.7);"), sql("2_s", "VACUUM t;\nSELECT pg_sleep(0.7);")}, options);
  // A build that waits for somebody isn't cut off, and leaves nothing invalid.
  auto other = db.open();
  other.run("BEGIN; INSERT INTO t VALUES (1)", soon());
  std::thread later{[&] {
    Limits{Deadline::after(1200ms), {}}.wait(-1, 0);
    other.run("COMMIT", soon());
  }};
  const auto outcome = up(db, {sql("1_t", ""), sql("2_s", ""), sql("3_i", "SET lock_timeout = '900ms';\nCREATE INDEX CONCURRENTLY ti ON t(i);\nCREATE TABLE kept AS SELECT current_setting('lock_timeout') AS l;")}, options);
  later.join();
  CHECK(outcome.applied.size() == 1);
  CHECK(db.value("SELECT indisvalid FROM pg_index WHERE indexrelid = 'ti'::regclass") == "t");
  CHECK(db.value("SELECT l FROM kept") == "900ms");
}

TEST_CASE("migrate stepwise: SET LOCAL lasts to the end of a file that was meant as one transaction") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  db.run("CREATE SCHEMA app; GRANT ALL ON SCHEMA app TO pg_database_owner; CREATE TYPE app.st AS ENUM ('a')");
  up(db, {sql("1_a", "SET LOCAL search_path = app;\nALTER TYPE app.st ADD VALUE 'b';\nCREATE TABLE orders(s app.st DEFAULT 'b');"),
          sql("2_b", "SET LOCAL ROLE pg_database_owner;\nCREATE TABLE app.mine(id int);\nCREATE INDEX CONCURRENTLY ON app.mine(id);"), sql("3_c", "CREATE TABLE c(id int);")});
  CHECK(db.value("SELECT to_regclass('app.orders') IS NOT NULL AND to_regclass('public.c') IS NOT NULL") == "t");
  CHECK(db.value("SELECT relowner::regrole FROM pg_class WHERE oid = 'app.mine'::regclass") == "pg_database_owner");
}

TEST_CASE("migrate: SET TRANSACTION at the head of a script is obeyed, and all of it is one transaction") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  const std::string head = "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE;\nCREATE TABLE a AS SELECT current_setting('transaction_isolation') AS level;\n";
  Heard heard;
  CHECK(failure_of([&] { up(db, {sql("0_z", "SELECT 1;"), sql("1_a", head + "SELECT 1/0;")}, {}, &heard); }).message().find("nothing of it stays") != std::string::npos);
  CHECK_FALSE(heard.has("statement by statement"));
  CHECK(db.value("SELECT to_regclass('a') IS NULL") == "t");
  up(db, {sql("0_z", ""), sql("1_a", head)});
  CHECK(db.value("SELECT level FROM a") == "serializable");
}

TEST_CASE("migrate stepwise: a login whose role is set by default") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  db.run("CREATE ROLE step_owner; CREATE ROLE step_login LOGIN NOINHERIT PASSWORD 'pw' IN ROLE step_owner; ALTER ROLE step_login SET role = 'step_owner'");
  db.run("ALTER SCHEMA public OWNER TO step_owner");
  {
    auto target = server->tcp(db.name);
    target.user = "step_login";
    target.password = Secret{"pw"};
    auto connection = pg::Connection::open(target, soon());
    Heard heard;
    migrate::apply({sql("1_a", "CREATE TABLE t(i int);"), sql("2_b", "CREATE INDEX CONCURRENTLY ti ON t(i);\nSET ROLE step_owner;\nCREATE TABLE u(i int);")}, connection, {}, heard, soon());
  }
  CHECK(db.history() == "1_a f- 1\n2_b f- 1\n");
  CHECK(db.value("SELECT string_agg(DISTINCT relowner::regrole::text, ' ') FROM pg_class WHERE relname IN ('t', 'u', 'ti')") == "step_owner");
  db.run("ALTER SCHEMA public OWNER TO postgres; DROP OWNED BY step_owner; DROP ROLE step_login; DROP ROLE step_owner");
}

TEST_CASE("migrate: a failure is recorded in a database that isn't UTF-8") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  const auto name = db.name + "_latin";
  db.run("CREATE DATABASE " + name + " TEMPLATE template0 ENCODING LATIN1 LC_COLLATE 'C' LC_CTYPE 'C'");
  {
    auto connection = pg::Connection::open(server->local(name), soon());
    Heard heard;
    CHECK_NOTHROW(failure_of([&] { migrate::apply({sql("1_é", "SELECT nope;")}, connection, {}, heard, soon()); }));
    CHECK(heard.notes.empty());
    CHECK(connection.query("SELECT logs LIKE '%nope%' AND rolled_back_at IS NOT NULL FROM _prisma_migrations", soon()).boolean(0, 0));
  }
  db.run("DROP DATABASE " + name);
}

namespace {

// A run's watcher reports too, and another thread reads meanwhile.
class SharedHeard final : public Reporter {
 public:
  void report(const Event& event) override {
    const std::lock_guard guard{mutex_};
    heard_.report(event);
  }
  bool has(std::string_view text) const {
    const std::lock_guard guard{mutex_};
    return heard_.has(text);
  }

 private:
  mutable std::mutex mutex_;
  Heard heard_;
};

}  // namespace

TEST_CASE("migrate stepwise: who stands before a concurrent build is named while it waits") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  up(db, {sql("1_t", "CREATE TABLE t(i int);")});
  auto other = db.open();
  other.run("SET application_name = 'reporting'; BEGIN; INSERT INTO t VALUES (1)", soon());
  SharedHeard heard;
  std::thread later{[&] {
    const auto deadline = Deadline::after(30s);
    while (!heard.has("reporting") && !deadline.expired()) Limits{Deadline::after(50ms), {}}.wait(-1, 0);
    other.run("COMMIT", soon());
  }};
  migrate::apply({sql("1_t", ""), sql("2_i", "CREATE TABLE u(i int);\nCREATE INDEX CONCURRENTLY ti ON t(i);")}, db.connection, {}, heard, soon());
  later.join();
  CHECK(heard.has(fmt::format("statement 2 of \"2_i\" waits for pid {} (reporting, postgres@local, idle in transaction", other.backend_pid())));
  CHECK(heard.has("INSERT INTO t VALUES (1)"));
  CHECK(db.value("SELECT indisvalid FROM pg_index WHERE indexrelid = 'ti'::regclass") == "t");
}

TEST_CASE("migrate stepwise: messages to the server for each statement") {
  auto server = PostgresServer::start({false, {"log_statement=all", "log_line_prefix=pid=%p:"}});
  if (server == nullptr) return;
  Database db{*server};
  std::vector<migrate::File> files;
  const auto messages = [&](const std::string& statements) {
    const auto sent = [&] {
      const auto log = io::read_file(server->folder() + "/server.log");
      const auto of_ours = fmt::format("pid={}:LOG:  ", db.connection.backend_pid());
      std::size_t count = 0;
      for (auto at = log.find(of_ours); at != std::string::npos; at = log.find(of_ours, at + 1)) {
        const auto what = std::string_view{log}.substr(at + of_ours.size(), 9);
        if (what == "statement" || what == "execute <") ++count;
      }
      return count;
    };
    const auto before = sent();
    for (auto& file : files) file.content = "";
    files.push_back(sql(fmt::format("{:03}_x", files.size()), statements));
    up(db, files);
    return sent() - before;
  };
  messages("CREATE TABLE t(i int);");
  const auto one = messages("VACUUM t;");
  // A statement in a transaction with its record: two. What can't be in one: its mark, itself, its record; a build of an index also asks what is there.
  CHECK(messages("VACUUM t;\nCREATE TABLE u(i int);") - one == 2);
  // What a SELECT may have set is looked at in the message of its record; that it was seen first is recorded once.
  CHECK(messages("VACUUM t;\nSELECT 1;\nSELECT 2;") - one == 5);
  CHECK(messages("VACUUM t;\nVACUUM u;") - one == 3);
  CHECK(messages("VACUUM t;\nCREATE INDEX CONCURRENTLY ON t(i);") - one == 4);
}
