// The rows of the case table: what goes wrong with migrations on a real server.
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <filesystem>

#include "lib/migrate/script_error.hpp"
#include "tests/integration/migrate/support.hpp"

using namespace codops;
using namespace codops::tests;

TEST_CASE("migrate case: kill -9 in a script leaves one transaction and soon no backend") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  db.run("CREATE SCHEMA aside; CREATE TABLE aside.slow AS SELECT 30 AS seconds");
  const std::vector files{sql("1_a", "CREATE TABLE a(id int);\nSELECT pg_sleep(seconds) FROM aside.slow;\nCREATE TABLE b(id int);")};
  const auto child = apply_in_child(db, files);
  const std::string sleeping = "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
  wait_until(db, sleeping);
  ::kill(child, SIGKILL);
  wait_child(child);
  const auto killed = std::chrono::steady_clock::now();
  wait_until(db, "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'");
  CHECK(std::chrono::steady_clock::now() - killed < 2s);
  CHECK(db.history().empty());
  CHECK(db.value("SELECT to_regclass('a') IS NULL") == "t");
  db.run("TRUNCATE aside.slow");
  CHECK(up(db, files).applied.size() == 1);
}

TEST_CASE("migrate case: kill -9 at many points, then the next run ends with everything exactly once") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  std::vector<migrate::File> files{sql("00_log", "CREATE TABLE log(n int NOT NULL);\nCREATE TABLE big AS SELECT i FROM generate_series(1, 20000) i;")};
  for (int i = 1; i <= 12; ++i) {
    std::string text = fmt::format("INSERT INTO log VALUES ({0}00);\nCREATE TABLE t{0}(id int);\n", i);
    if (i % 3 == 1) text += fmt::format("CREATE INDEX CONCURRENTLY big_{0} ON big(i);\nINSERT INTO log VALUES ({0}01);\nVACUUM big;\nINSERT INTO log VALUES ({0}02);\n", i);
    if (i % 3 == 2) text += fmt::format("BEGIN;\nINSERT INTO log VALUES ({0}03);\nCREATE TABLE x{0}(id int);\nCOMMIT;\nINSERT INTO log VALUES ({0}04);\n", i);
    files.push_back(sql(fmt::format("{:02}_step", i), text));
  }
  int killed = 0;
  for (int delay = 4; delay < 120; delay += 6) {
    const auto child = apply_in_child(db, files);
    Limits{Deadline::after(Milliseconds{delay}), {}}.wait(-1, 0);
    ::kill(child, SIGKILL);
    if (wait_child(child) != 0) ++killed;
  }
  migrate::Options options;
  options.lock_wait = 20s;
  up(db, files, options);
  INFO("killed " << killed);
  CHECK(killed > 3);
  CHECK(db.value("SELECT count(*) FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL AND applied_steps_count = 1 AND "
                 "logs IS NULL") == "13");
  CHECK(db.value("SELECT count(*) FROM _prisma_migrations") == "13");
  CHECK(db.value("SELECT count(*) || '/' || count(DISTINCT n) FROM log") == "28/28");
  CHECK(db.value("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == "0");
  CHECK(db.value("SELECT count(*) FROM pg_indexes WHERE tablename = 'big'") == "4");
}

TEST_CASE("migrate case: a terminated backend gives a retryable row and no false success") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  auto other = db.open();
  std::thread killer{[&] {
    for (int i = 0; i < 500; ++i) {
      const auto rows = other.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'", soon());
      if (!rows.empty()) return;
      Limits{Deadline::after(10ms), {}}.wait(-1, 0);
    }
  }};
  const auto failed = failure_of([&] { up(db, {sql("1_a", "CREATE TABLE a(id int); SELECT pg_sleep(20);")}); });
  killer.join();
  CHECK(failed.code() == Exit::unavailable);
  CHECK(db.history() == "1_a -r 0 logs\n");
  CHECK(db.value("SELECT to_regclass('a') IS NULL") == "t");
  CHECK(up(db, {sql("1_a", "CREATE TABLE a(id int);")}).applied.size() == 1);
}

TEST_CASE("migrate case: a full disk gives a retryable row") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  const auto folder = server->folder() + "/small";
  std::filesystem::create_directory(folder);
  if (::mount("tmpfs", folder.c_str(), "tmpfs", 0, "size=4m,mode=0777") != 0) {
    MESSAGE("skipped: a small file system can't be mounted here");
    return;
  }
  struct Unmount {
    std::string folder;
    ~Unmount() { ::umount2(folder.c_str(), MNT_DETACH); }
  } unmount{folder};
  PostgresServer::program("psql", {"-h", server->folder(), "-p", std::to_string(server->port()), "-U", "postgres", "-c", "SELECT 1"});
  ::chmod(folder.c_str(), 0777);
  const auto inner = folder + "/space";
  std::filesystem::create_directory(inner);
  std::filesystem::permissions(inner, std::filesystem::perms::all);
  if (::geteuid() == 0) {
    struct stat data {};
    ::stat((server->folder() + "/data").c_str(), &data);
    REQUIRE(::chown(inner.c_str(), data.st_uid, data.st_gid) == 0);
  }
  Database db{*server};
  db.run("CREATE TABLESPACE small LOCATION '" + inner + "'");
  const auto failed = failure_of([&] {
    up(db, {sql("1_a", "CREATE TABLE a(t text) TABLESPACE small;\nINSERT INTO a SELECT repeat(i::text, 200) FROM generate_series(1, 100000) i;")});
  });
  CHECK(failed.message().find("53100") != std::string::npos);
  CHECK(failed.message().find(":2:1") != std::string::npos);
  CHECK(db.history() == "1_a -r 0 logs\n");
  CHECK(up(db, {sql("1_a", "CREATE TABLE a(t text);")}).applied.size() == 1);
  db.run("DROP TABLESPACE small");
}

TEST_CASE("migrate case: of two runners the second waits, knows who it waits for, and applies nothing") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  const std::vector files{sql("1_a", "CREATE TABLE a(id int);\nSELECT pg_sleep(0.6);")};
  const auto child = apply_in_child(db, files);
  wait_until(db, "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'");
  Heard heard;
  migrate::Options impatient;
  impatient.lock_wait = 100ms;
  const auto failed = failure_of([&] { up(db, files, impatient, &heard); });
  CHECK(failed.code() == Exit::locked);
  CHECK(failed.message().find("P1002") != std::string::npos);
  CHECK(failed.message().find("codops") != std::string::npos);
  CHECK(failed.message().find("pg_sleep") != std::string::npos);
  CHECK(up(db, files, {}, &heard).applied.empty());
  CHECK(heard.has("held by pid"));
  CHECK(wait_child(child) == 0);
  CHECK(db.history() == "1_a f- 1\n");
}

TEST_CASE("migrate case: a concurrent index build beside a runner that blocks in pg_advisory_lock") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  db.run("CREATE TABLE _prisma_migrations_hold(); DROP TABLE _prisma_migrations_hold");
  up(db, {sql("0_t", "CREATE TABLE t AS SELECT i FROM generate_series(1, 100) i;")});
  // As Prisma waits: inside the function, with a snapshot.
  auto prisma = db.open();
  db.run("SELECT pg_advisory_lock(1)");
  std::thread blocked{[&] {
    try {
      prisma.run("SET deadlock_timeout = '20s'; SELECT pg_advisory_lock(72707369); SELECT pg_advisory_unlock(72707369)", soon());
    } catch (const Failure&) {
    }
  }};
  Heard heard;
  const std::vector files{sql("0_t", "CREATE TABLE t AS SELECT i FROM generate_series(1, 100) i;"),
                          sql("1_i", "SELECT pg_sleep(0.3);\nCREATE INDEX CONCURRENTLY t_i ON t(i);")};
  migrate::Options options;
  options.lock_attempts = 3;
  std::optional<Failure> failed;
  try {
    up(db, files, options, &heard);
  } catch (const Failure& failure) {
    failed = failure;
  }
  if (failed) {
    // The blocked one outlasts every attempt: still no invalid index, and the next run continues.
    CHECK(failed->message().find("40P01") != std::string::npos);
  }
  blocked.join();
  CHECK(up(db, files).applied.size() == (failed ? 1 : 0));
  CHECK(db.value("SELECT indisvalid FROM pg_index WHERE indexrelid = 't_i'::regclass") == "t");
  CHECK(db.value("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == "0");
}

TEST_CASE("migrate case: BEGIN without COMMIT is refused before anything runs; ROLLBACK inside loses nothing silently") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  const auto failed = failure_of([&] { up(db, {sql("1_a", "CREATE TABLE a(id int);"), sql("2_b", "SELECT 1;\nBEGIN;\nCREATE TABLE b(id int);")}); });
  CHECK(failed.code() == Exit::data);
  CHECK(failed.message().find("2_b/migration.sql:2:1") != std::string::npos);
  CHECK(db.value("SELECT to_regclass('a') IS NULL") == "t");

  CHECK(up(db, {sql("1_a", "CREATE TABLE a(id int);\nBEGIN;\nCREATE TABLE gone(id int);\nROLLBACK;\nCREATE TABLE b(id int);")}).applied[0].stepwise);
  CHECK(db.value("SELECT to_regclass('gone') IS NULL AND to_regclass('b') IS NOT NULL") == "t");

  // Hidden where only the server sees it: a procedure that commits.
  db.run("CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO a VALUES (1); COMMIT; END $$");
  CHECK(up(db, {sql("1_a", ""), sql("2_call", "INSERT INTO a VALUES (2);\nCALL commits();\nDO $$ BEGIN INSERT INTO a VALUES (3); COMMIT; END $$;")})
            .applied[0].stepwise);
  CHECK(db.value("SELECT string_agg(id::text, ',' ORDER BY id) FROM a") == "1,2,3");
}

TEST_CASE("migrate case: a file's own transactions; a failure in the second resumes at the second") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  auto files = std::vector{sql("1_a", "BEGIN;\nCREATE TABLE a(id int PRIMARY KEY);\nCOMMIT;\nBEGIN;\nINSERT INTO a VALUES (1);\nINSERT INTO a VALUES (1);\nCOMMIT;\n")};
  const auto failed = failure_of([&] { up(db, files); });
  CHECK(failed.message().find("1_a/migration.sql:6:1") != std::string::npos);
  CHECK(failed.message().find("3 of 7 statements") != std::string::npos);
  CHECK(db.history() == "1_a -- 3 logs\n");
  CHECK(db.value("SELECT count(*) FROM a") == "0");
  auto edited = files;
  edited[0].content = "BEGIN;\nCREATE TABLE other(id int PRIMARY KEY);\nCOMMIT;\nSELECT 1;\nSELECT 2;\nSELECT 3;\nSELECT 4;";
  CHECK(failure_of([&] { up(db, edited); }).code() == Exit::data);
  files[0].content = "BEGIN;\nCREATE TABLE a(id int PRIMARY KEY);\nCOMMIT;\nBEGIN;\nINSERT INTO a VALUES (1);\nINSERT INTO a VALUES (2);\nCOMMIT;\n";
  Heard heard;
  CHECK(up(db, files, {}, &heard).applied.size() == 1);
  CHECK(heard.has("continues with statement 4 of 7"));
  CHECK(db.history() == "1_a f- 1\n");
  CHECK(db.value("SELECT count(*) FROM a") == "2");
}

TEST_CASE("migrate case: concurrent builds: no lock_timeout there, an invalid index is dropped and built again") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  up(db, {sql("1_t", "CREATE TABLE t(i int); INSERT INTO t VALUES (1), (1), (2);")});
  const std::vector files{sql("1_t", ""), sql("2_u", "CREATE UNIQUE INDEX CONCURRENTLY t_u ON t(i);\nALTER TABLE t ADD COLUMN done int;")};
  auto failed = failure_of([&] { up(db, files); });
  CHECK(failed.message().find("23505") != std::string::npos);
  CHECK(db.value("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == "0");
  db.run("DELETE FROM t WHERE ctid = (SELECT min(ctid) FROM t WHERE i = 1)");

  // Left by somebody else's failed build.
  db.run("INSERT INTO t VALUES (2)");
  try {
    db.run("CREATE UNIQUE INDEX CONCURRENTLY t_u ON t(i)");
  } catch (const pg::DatabaseError&) {
  }
  db.run("DELETE FROM t WHERE ctid = (SELECT min(ctid) FROM t WHERE i = 2)");
  CHECK(db.value("SELECT indisvalid FROM pg_index WHERE indexrelid = 't_u'::regclass") == "f");

  // A transaction older than the build makes it wait longer than lock_timeout.
  auto other = db.open();
  other.run("BEGIN; UPDATE t SET i = i", soon());
  std::thread later{[&] {
    Limits{Deadline::after(500ms), {}}.wait(-1, 0);
    other.run("COMMIT", soon());
  }};
  Heard heard;
  migrate::Options options;
  options.lock_timeout = 100ms;
  options.statement_timeout = 200ms;
  up(db, files, options, &heard);
  later.join();
  CHECK(heard.has("is invalid"));
  CHECK(db.value("SELECT indisvalid FROM pg_index WHERE indexrelid = 't_u'::regclass") == "t");
  CHECK(db.value("SELECT count(*) FROM information_schema.columns WHERE table_name = 't' AND column_name = 'done'") == "1");
}

TEST_CASE("migrate case: a hot table: lock_timeout, retries, and who holds it") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  up(db, {sql("1_t", "CREATE TABLE t(i int);")});
  auto other = db.open();
  other.run("SET application_name = 'reporting'; BEGIN; SELECT * FROM t", soon());
  std::thread later{[&] {
    Limits{Deadline::after(1500ms), {}}.wait(-1, 0);
    other.run("COMMIT", soon());
  }};
  Heard heard;
  migrate::Options options;
  options.lock_timeout = 700ms;
  CHECK(up(db, {sql("1_t", ""), sql("2_c", "ALTER TABLE t ADD COLUMN c int;")}, options, &heard).applied.size() == 1);
  later.join();
  CHECK(heard.has("55P03"));
  CHECK(heard.has("reporting"));
  CHECK(heard.has(fmt::format("pid {}", other.backend_pid())));
}

TEST_CASE("migrate case: what a script SETs is gone for the next; the advisory lock is not") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  up(db, {sql("1_dump", "SELECT pg_catalog.set_config('search_path', '', false);\nSET ROLE pg_monitor;\nRESET ROLE;\n"
                           "SET check_function_bodies = false;\nCREATE TABLE public.a(id int);\nSET statement_timeout = 1;\nSET ROLE pg_read_all_data;"),
             sql("2_next", "CREATE TABLE b(id int);\nSELECT pg_sleep(0.05);\nDO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_locks WHERE locktype = "
                           "'advisory') THEN RAISE 'lock lost'; END IF; END $$;")});
  CHECK(db.history() == "1_dump f- 1\n2_next f- 1\n");
  CHECK(db.value("SELECT to_regclass('public.b') IS NOT NULL") == "t");
}

TEST_CASE("migrate case: a value added to an enum is used at once") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  const std::vector files{sql("1_e", "CREATE TYPE mood AS ENUM ('ok'); CREATE TABLE t(m mood);"),
                          sql("2_v", "ALTER TYPE mood ADD VALUE 'fine';\nINSERT INTO t VALUES ('fine');"),
                          // Only the server can know about this one.
                          sql("3_w", "ALTER TYPE mood ADD VALUE 'gr' ;\nDO $$ BEGIN EXECUTE 'INSERT INTO t VALUES (''g' || 'r'')'; END $$;")};
  const auto outcome = up(db, files);
  CHECK(outcome.applied[1].stepwise);
  CHECK(outcome.applied[2].stepwise);
  CHECK(db.value("SELECT count(*) FROM t") == "2");
}

TEST_CASE("migrate case: BOM, CRLF, Latin-1") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  up(db, {sql("1_bom", "\xEF\xBB\xBF" "CREATE TABLE a(id int);"), sql("2_crlf", "CREATE TABLE b(id int);\r\n-- c\r\nSELECT 1;\r\n")});
  CHECK(db.value("SELECT checksum FROM _prisma_migrations WHERE migration_name = '1_bom'") ==
        db.value("SELECT encode(sha256('\\xefbbbf'::bytea || 'CREATE TABLE a(id int);'::bytea), 'hex')"));
  const auto latin = std::vector{sql("1_bom", ""), sql("2_crlf", ""), sql("3_l", "CREATE TABLE c(t text DEFAULT 'caf\xE9');")};
  const auto failed = failure_of([&] { up(db, latin); });
  CHECK(failed.code() == Exit::data);
  CHECK(failed.message().find("3_l/migration.sql:1:35") != std::string::npos);
  migrate::Options options;
  options.allow_invalid_utf8 = true;
  up(db, latin, options);
  CHECK(db.value("SELECT checksum FROM _prisma_migrations WHERE migration_name = '3_l'") ==
        db.value("SELECT encode(sha256('CREATE TABLE c(t text DEFAULT ''caf\xEF\xBF\xBD'');'), 'hex')"));
}

TEST_CASE("migrate case: COPY FROM stdin runs, psql commands are named with their place") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  up(db, {sql("1_copy", "CREATE TABLE t(a int, b text);\nCOPY t (a, b) FROM stdin;\n1\tone; -- not a comment\n2\t\\N\n\\.\n\nINSERT INTO t VALUES (3, 'x');\n"
                           "COPY t FROM STDIN WITH (FORMAT csv);\n4,four\n\\.\n")});
  CHECK(db.value("SELECT count(*) || ' ' || min(b) FROM t WHERE a < 4") == "3 one; -- not a comment");
  CHECK(db.value("SELECT b FROM t WHERE a = 4") == "four");
  const auto failed = failure_of([&] { up(db, {sql("1_copy", ""), sql("2_psql", "SELECT 1;\n\\set x 1\nSELECT 2;")}); });
  CHECK(failed.code() == Exit::data);
  CHECK(failed.message() == "2_psql/migration.sql:2:1: \"\\set\" is a command of psql, not SQL");
  CHECK(failure_of([&] { up(db, {sql("1_copy", ""), sql("2_copy", "COPY t FROM stdin;\nx\ty\n\\.\n")}); }).message().find("22P02") != std::string::npos);
}

TEST_CASE("migrate case: 100,000 INSERTs go as one message; empty and comment-only files, names with spaces") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  std::string inserts = "CREATE TABLE t(i int, t text);\n";
  for (int i = 0; i < 100000; ++i) inserts += fmt::format("INSERT INTO t VALUES ({}, 'row number {}');\n", i, i);
  const auto begin = std::chrono::steady_clock::now();
  up(db, {sql("1 with spaces", inserts), sql("2_empty", ""), sql("3_comment", "-- nothing\n/* at all */\n"), sql("4_semicolons", ";;\n;")});
  CHECK(std::chrono::steady_clock::now() - begin < 8s);
  CHECK(db.value("SELECT count(*) FROM t") == "100000");
  CHECK(db.history() == "1 with spaces f- 1\n2_empty f- 1\n3_comment f- 1\n4_semicolons f- 1\n");
}

TEST_CASE("migrate case: a deadline in a script rolls back, leaves no lock and no row") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  Heard heard;
  const auto failed = failure_of([&] {
    migrate::apply({sql("1_a", "CREATE TABLE a(id int); SELECT pg_sleep(20);")}, db.connection, {}, heard, Limits{Deadline::after(300ms), {}});
  });
  CHECK(failed.code() == Exit::deadline);
  CHECK(db.history().empty());
  CHECK(db.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())") == "0");
}
