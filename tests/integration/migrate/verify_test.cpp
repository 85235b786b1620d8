// What verify compares, what it leaves alone, and what it leaves behind.
#include "lib/migrate/verify.hpp"

#include "tests/integration/migrate/support.hpp"

using namespace codops;
using namespace codops::tests;

namespace {

std::string verified(Database& db, const std::vector<migrate::File>& files, Heard& heard, bool privileges = true) {
  return migrate::to_text(migrate::verify(migrate::recognise(files), db.connection, {}, privileges, {}, heard, soon()));
}

}  // namespace

TEST_CASE("migrate verify: every kind of change by hand is found") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  Heard heard;
  const std::vector files{sql("1_a",
                              "CREATE SCHEMA app;\nCREATE TABLE a(id serial PRIMARY KEY, t text);\nCREATE TABLE child() INHERITS (a);\n"
                              "CREATE TABLE p(id int) PARTITION BY RANGE (id);\nCREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (9);\n"
                              "CREATE VIEW v AS SELECT id FROM a;\nCREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1';\n"
                              "CREATE TYPE pair AS (x int, y int);\nCREATE FUNCTION to_pair(int) RETURNS pair LANGUAGE sql AS 'SELECT ROW($1, $1)::pair';\n"
                              "CREATE FUNCTION same(pair, pair) RETURNS bool LANGUAGE sql AS 'SELECT true';\nCREATE SEQUENCE s;")};
  up(db, files);
  CHECK(verified(db, files, heard).find("is what they say") != std::string::npos);
  const struct {
    std::string change, undo, said;
  } cases[]{
      {"GRANT SELECT ON a TO pg_monitor", "REVOKE SELECT ON a FROM pg_monitor", "+ privilege pg_monitor: SELECT on table public.a"},
      {"REVOKE EXECUTE ON FUNCTION f FROM public", "GRANT EXECUTE ON FUNCTION f TO public", "- privilege public: EXECUTE on function public.f(integer)"},
      {"GRANT SELECT (t) ON a TO pg_monitor", "REVOKE SELECT (t) ON a FROM pg_monitor", "+ privilege pg_monitor: SELECT on column public.a.t"},
      {"GRANT USAGE ON SCHEMA app TO public", "REVOKE USAGE ON SCHEMA app FROM public", "+ privilege public: USAGE on schema app"},
      {"ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO pg_monitor", "ALTER DEFAULT PRIVILEGES IN SCHEMA app REVOKE SELECT ON TABLES FROM pg_monitor", "default privileges of postgres in app"},
      {"ALTER TABLE a OWNER TO pg_read_all_stats", "ALTER TABLE a OWNER TO postgres", "~ owner of table public.a"},
      {"ALTER FUNCTION f OWNER TO pg_read_all_stats", "ALTER FUNCTION f OWNER TO postgres", "~ owner of function public.f(integer)"},
      {"COMMENT ON TABLE a IS 'x'", "COMMENT ON TABLE a IS NULL", "+ comment on table public.a"},
      {"COMMENT ON COLUMN a.t IS 'x'", "COMMENT ON COLUMN a.t IS NULL", "+ comment on column t of table public.a"},
      {"ALTER TABLE a SET (fillfactor = 50)", "ALTER TABLE a RESET (fillfactor)", "+ options of public.a"},
      {"ALTER VIEW v SET (security_barrier)", "ALTER VIEW v RESET (security_barrier)", "+ options of public.v"},
      {"ALTER TABLE p DETACH PARTITION p1", "ALTER TABLE p ATTACH PARTITION p1 FOR VALUES FROM (0) TO (9)", "- public.p1 is a child of public.p"},
      {"ALTER TABLE child NO INHERIT a", "ALTER TABLE child INHERIT a", "- public.child is a child of public.a"},
      {"ALTER TABLE a ALTER t SET STORAGE external", "ALTER TABLE a ALTER t SET STORAGE extended", "~ column public.a.t"},
      {"ALTER TABLE a REPLICA IDENTITY FULL", "ALTER TABLE a REPLICA IDENTITY DEFAULT", "~ table public.a"},
      {"ALTER SEQUENCE s CACHE 9", "ALTER SEQUENCE s CACHE 1", "~ sequence public.s"},
      {"CREATE EXTENSION citext", "DROP EXTENSION citext", "+ extension citext"},
      {"CREATE AGGREGATE total(int) (sfunc = int4pl, stype = int)", "DROP AGGREGATE total(int)", "+ function public.total(integer)"},
      {"CREATE CAST (int AS pair) WITH FUNCTION to_pair(int)", "DROP CAST (int AS pair)", "+ cast from integer to public.pair"},
      {"CREATE OPERATOR === (leftarg = pair, rightarg = pair, function = same)", "DROP OPERATOR === (pair, pair)", "+ operator public.==="},
      {"CREATE COLLATION mine FROM \"C\"", "DROP COLLATION mine", "+ collation public.mine"},
      {"CREATE TEXT SEARCH CONFIGURATION words (COPY = pg_catalog.simple)", "DROP TEXT SEARCH CONFIGURATION words", "+ text search configuration public.words"},
      {"CREATE STATISTICS st ON id, t FROM a", "DROP STATISTICS st", "+ statistics object public.st"},
      {"CREATE PUBLICATION pub FOR TABLE a", "DROP PUBLICATION pub", "+ publication pub"},
      {"ALTER TYPE pair ADD ATTRIBUTE z int", "ALTER TYPE pair DROP ATTRIBUTE z", "+ column public.pair.z"},
  };
  std::string changes, undo;
  for (const auto& one : cases) {
    changes += one.change + ";\n";
    undo = one.undo + ";\n" + undo;
  }
  db.run(changes);
  const auto text = verified(db, files, heard);
  for (const auto& one : cases) {
    CAPTURE(text);
    CHECK_MESSAGE(text.find(one.said) != std::string::npos, one.said);
  }
  const auto without = verified(db, files, heard, false);
  CHECK(without.find("privilege p") == std::string::npos);
  CHECK(without.find("owners and privileges") != std::string::npos);
  db.run(undo);
  CHECK(verified(db, files, heard).find("is what they say") != std::string::npos);
  // A table that is only there is one thing said, not one for each privilege of its owner.
  db.run("CREATE TABLE by_hand()");
  CHECK(migrate::verify(migrate::recognise(files), db.connection, {}, true, {}, heard, soon()).differences.size() == 1);
}

TEST_CASE("migrate verify: the live server stays as it is") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  Heard heard;
  const std::string reaching = "CREATE ROLE verify_role;\nALTER ROLE verify_role CONNECTION LIMIT 5;\nGRANT pg_monitor TO verify_role;\nALTER DATABASE \"" + db.name +
                               "\" SET work_mem = '8MB';\nCOMMENT ON ROLE verify_role IS 'x';\nCREATE TABLE a(id int);\nGRANT SELECT ON a TO verify_role;\n";
  const std::string hidden = "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'verify_role') THEN CREATE ROLE verify_role; END IF; END $$;";
  std::vector files{sql("1_a", reaching), sql("2_b", hidden)};
  up(db, files);
  const auto server_state = [&] {
    return db.value("SELECT (SELECT string_agg(r::text, ',' ORDER BY oid) FROM pg_roles r) || coalesce((SELECT string_agg(s::text, ',' ORDER BY s::text) FROM pg_db_role_setting s), '') || "
                    "(SELECT string_agg(m.roleid::text || m.member, ',' ORDER BY 1) FROM pg_auth_members m)");
  };
  // As somebody set it later: a replay must not set it back.
  db.run("ALTER ROLE verify_role CONNECTION LIMIT 7; REVOKE pg_monitor FROM verify_role; ALTER DATABASE \"" + db.name + "\" SET work_mem = '9MB'");
  const auto before = server_state();
  const auto text = verified(db, files, heard);
  CHECK(text.find("is what they say") != std::string::npos);
  CHECK(text.find("1_a/migration.sql:1:1: CREATE ROLE") != std::string::npos);
  CHECK(text.find("1_a/migration.sql:3:1: GRANT of a role") != std::string::npos);
  CHECK(text.find("ALTER DATABASE") != std::string::npos);
  CHECK(text.find(":7:1") == std::string::npos);
  CHECK(server_state() == before);

  // Where no parser sees it.
  for (const std::string middle : {"", "CREATE INDEX CONCURRENTLY a_id ON a(id);\n"}) {
    files.resize(2);
    files.push_back(sql("3_c", middle + "DO $$ BEGIN EXECUTE 'ALTER ROLE verify_role CONNECTION LIMIT 5'; END $$;"));
    up(db, files);
    db.run("ALTER ROLE verify_role CONNECTION LIMIT 7");
    const auto failed = failure_of([&] { verified(db, files, heard); });
    CHECK(failed.message().find("the live database is as it was") != std::string::npos);
    CHECK(failed.message().find(middle.empty() ? "3_c/migration.sql:1:1" : "3_c/migration.sql:2:1") != std::string::npos);
    CHECK(server_state() == before);
    db.run("DELETE FROM _prisma_migrations WHERE migration_name = '3_c'; DROP INDEX IF EXISTS a_id");
  }
  db.run("ALTER DATABASE \"" + db.name + "\" RESET work_mem; DROP OWNED BY verify_role; DROP ROLE verify_role");
}

TEST_CASE("migrate verify: a scratch database that a killed run left is dropped, one in use is not") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  Heard heard;
  db.run("CREATE DATABASE codops_verify_0123456789ab");
  db.run("CREATE DATABASE codops_verify_66666666_0000aa");
  db.run("CREATE DATABASE codops_verify_66666666_0000ab");
  db.run("CREATE DATABASE codops_verify_mine");
  {
    const auto busy = pg::Connection::open(server->local("codops_verify_66666666_0000ab"), soon());
    const std::vector files{sql("1_a", "CREATE TABLE a(id int);")};
    up(db, files);
    verified(db, files, heard);
    CHECK(db.value("SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database WHERE datname LIKE 'codops\\_verify%'") == "codops_verify_66666666_0000ab codops_verify_mine");
    CHECK(heard.has("codops_verify_0123456789ab"));
  }
  wait_until(db, "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname LIKE 'codops\\_verify%'");
  db.run("DROP DATABASE codops_verify_66666666_0000ab");
  db.run("DROP DATABASE codops_verify_mine");
}

TEST_CASE("migrate verify: a database that was dumped and restored is what its migrations say; all of a definition counts") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  Heard heard;
  const std::vector files{sql("1_a",
                              "CREATE TABLE orders(id int, status varchar(20) NOT NULL CHECK (status IN ('new','paid')), c varchar(3) CHECK (c NOT IN ('x''', 'y,')));\n"
                              "CREATE INDEX open ON orders(id) WHERE status IN ('new','paid');\nCREATE VIEW v AS SELECT id FROM orders WHERE status IN ('new','paid');\n"
                              "CREATE MATERIALIZED VIEW mv AS SELECT count(*) FROM orders WHERE status = ANY (ARRAY['new','paid']);\nALTER TABLE orders ENABLE ROW LEVEL SECURITY;\n"
                              "CREATE POLICY pol ON orders USING (status IN ('new','paid'));\nCREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ begin return new; end $$;\n"
                              "CREATE TRIGGER tr BEFORE UPDATE ON orders FOR EACH ROW WHEN (NEW.status IN ('new','paid')) EXECUTE FUNCTION f();\n"
                              "CREATE DOMAIN dm AS varchar(5) CHECK (VALUE IN ('a','b'));")};
  up(db, files);
  Database restored{*server};
  const auto dump = server->folder() + "/verify.sql";
  const auto reaching = [&](const std::string& name, std::vector<std::string> arguments) {
    for (const auto& one : {std::string{"-h"}, server->folder(), std::string{"-p"}, std::to_string(server->port()), std::string{"-U"}, std::string{"postgres"}, std::string{"-d"}, name}) arguments.push_back(one);
    return arguments;
  };
  PostgresServer::program("pg_dump", reaching(db.name, {"-f", dump}));
  PostgresServer::program("psql", reaching(restored.name, {"-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", dump}));
  const std::string check = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'orders_status_check'";
  CHECK(restored.value(check) != db.value(check));
  const auto text = verified(restored, files, heard);
  CAPTURE(text);
  CHECK(text.find("is what they say") != std::string::npos);
  // Behind the 63rd character, which is where a name ends.
  restored.run("CREATE OR REPLACE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ begin return old; end $$");
  CHECK(verified(restored, files, heard).find("~ function public.f()") != std::string::npos);
}

TEST_CASE("migrate verify: a replication slot is not made again") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database db{*server};
  Heard heard;
  const std::vector files{sql("1_a", "CREATE TABLE a(id int);\nSELECT pg_create_physical_replication_slot('verify_slot', true);\nDO $$ BEGIN PERFORM pg_replication_origin_create('verify_origin'); END $$;")};
  up(db, files);
  for (const auto* drop : {"SELECT 1", "SELECT pg_drop_replication_slot('verify_slot')"}) {
    db.run(drop);
    const auto before = db.value("SELECT count(*) FROM pg_replication_slots");
    const auto text = verified(db, files, heard);
    CHECK(text.find("is what they say") != std::string::npos);
    CHECK(text.find("1_a/migration.sql:2:1: pg_create_physical_replication_slot()") != std::string::npos);
    CHECK(text.find("1_a/migration.sql:3:1: pg_replication_origin_create()") != std::string::npos);
    CHECK(db.value("SELECT count(*) FROM pg_replication_slots") == before);
  }
  db.run("SELECT pg_replication_origin_drop('verify_origin')");
  // Where no parser sees it, it is said at least.
  const std::vector hidden{sql("1_a", "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$ SELECT pg_create_physical_replication_slot('verify_hidden') $$;"), sql("2_b", "SELECT f();")};
  Database other{*server};
  up(other, hidden);
  other.run("SELECT pg_drop_replication_slot('verify_hidden')");
  verified(other, hidden, heard);
  CHECK(heard.has("\"verify_hidden\" is new"));
  other.run("SELECT pg_drop_replication_slot('verify_hidden')");
}
