#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "lib/base/failure.hpp"
#include "lib/migrate/analysis.hpp"
#include "lib/migrate/create.hpp"
#include "lib/migrate/history.hpp"
#include "lib/migrate/ledger.hpp"
#include "lib/migrate/lint.hpp"
#include "lib/migrate/provision.hpp"
#include "lib/migrate/script_error.hpp"
#include "lib/migrate/session_memory.hpp"
#include "lib/migrate/verify.hpp"

using namespace codops;
using namespace codops::migrate;

namespace {

Migration migration(std::string script) {
  Migration result;
  result.key = result.name = "m";
  result.path = "m/migration.sql";
  result.script = std::move(script);
  return result;
}

std::string mode(const std::string& script) {
  const auto prepared = prepare(migration(script), false);
  return prepared.transactional ? "whole" : prepared.reason;
}

std::vector<std::string> rules(const std::string& script) {
  std::vector<std::string> found;
  for (const auto& finding : lint(migration(script))) {
    if (!finding.suppressed) found.emplace_back(finding.rule);
  }
  return found;
}

using List = std::vector<std::string>;

std::string lock_of(const std::string& sql, const Tables& tables = {}) {
  const auto effects = effects_of(parse(sql), {}, {tables, {}, {}, {}});
  if (effects.empty()) return "none";
  return effects.front().table.shown() + " " + std::string{name_of(effects.front().lock)} + " " + std::string{name_of(effects.front().work)};
}

}  // namespace

TEST_CASE("migrate mode: what can't run in one transaction") {
  CHECK(mode("CREATE TABLE t(i int); CREATE INDEX i ON t(i);") == "whole");
  CHECK(mode("SELECT 1;\nCREATE UNIQUE INDEX CONCURRENTLY i ON t(i);") == "line 2: CREATE INDEX CONCURRENTLY can't run in a transaction");
  CHECK(mode("REINDEX (CONCURRENTLY) TABLE t") == "line 1: REINDEX CONCURRENTLY can't run in a transaction");
  CHECK(mode("VACUUM (FULL) t") == "line 1: VACUUM can't run in a transaction");
  CHECK(mode("ALTER SYSTEM SET work_mem = '1MB'") == "line 1: ALTER SYSTEM can't run in a transaction");
  CHECK(mode("ALTER TABLE t DETACH PARTITION p CONCURRENTLY") == "line 1: DETACH PARTITION CONCURRENTLY can't run in a transaction");
  CHECK(mode("BEGIN;\nSELECT 1;\nCOMMIT;").starts_with("line 1: the file has its own"));
  CHECK(mode("SAVEPOINT a; ROLLBACK TO a; ROLLBACK TRANSACTION TO SAVEPOINT a;") == "whole");
  CHECK(mode("ALTER TYPE e ADD VALUE 'x';") == "whole");
  CHECK(mode("ALTER TYPE e ADD VALUE IF NOT EXISTS 'x';\nUPDATE t SET e = 'x';").find("enum") != std::string::npos);
  CHECK(mode("CREATE TYPE e AS ENUM ('a'); ALTER TYPE e ADD VALUE 'x'; UPDATE t SET e = 'x';") == "whole");
  CHECK(mode("CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN COMMIT; VACUUM; END $$") == "whole");
  CHECK_THROWS_WITH_AS(prepare(migration("SELECT 1;\n  \\restrict abc\n"), false), "m/migration.sql:2:3: \"\\restrict\" is a command of psql, not SQL", Failure);
  CHECK_THROWS_AS(prepare(migration("BEGIN; SELECT 1;"), false), Failure);
  CHECK_THROWS_WITH_AS(prepare(migration("VACUUM;\nSELECT 1; /* /* */\nSELECT 2;"), false), "m/migration.sql:2:11: a comment begins here and never ends", Failure);
}

TEST_CASE("migrate mode: a NUL byte makes a file unfit, for lint too") {
  const std::string script{"SELECT 1;\n\0SELECT 2;", 21};
  CHECK_THROWS_WITH_AS(prepare(migration(script), true), "m/migration.sql:2:1: a NUL byte, which no SQL may have", Failure);
  CHECK(rules(script) == List{"unfit-file"});
}

TEST_CASE("migrate session: what may be run again because it only sets") {
  const auto only_sets = [](const std::string& text) { return SessionMemory::only_sets(parse(text), text); };
  CHECK(only_sets("SET ROLE a"));
  CHECK(only_sets("RESET ALL"));
  CHECK(only_sets("SELECT pg_catalog.set_config('search_path', '', false)"));
  CHECK(only_sets("SELECT set_config('a.b', E'x', FALSE), set_config('c', 'd', false)"));
  CHECK_FALSE(only_sets("SELECT set_config('a.b', 'x', true)"));
  CHECK_FALSE(only_sets("SELECT set_config('a.b', f('x'), false)"));
  CHECK_FALSE(only_sets("SELECT set_config('a.b', 'x', false) FROM t"));
  CHECK_FALSE(only_sets("SELECT set_config('a.b', 'x', false), nextval('s')"));
  CHECK_FALSE(only_sets("SET LOCAL x = 1"));
}

TEST_CASE("migrate analysis: locks and work") {
  CHECK(lock_of("CREATE INDEX i ON s.t (x)") == "s.t SHARE builds an index");
  CHECK(lock_of("CREATE INDEX CONCURRENTLY i ON t (x)") == "t SHARE UPDATE EXCLUSIVE builds an index");
  CHECK(lock_of("ALTER TABLE \"T\" ADD COLUMN a int DEFAULT 1") == "T ACCESS EXCLUSIVE metadata only");
  CHECK(lock_of("ALTER TABLE t ADD COLUMN a timestamptz NOT NULL DEFAULT now()") == "t ACCESS EXCLUSIVE metadata only");
  CHECK(lock_of("ALTER TABLE t ADD COLUMN a uuid DEFAULT gen_random_uuid()") == "t ACCESS EXCLUSIVE writes every row");
  CHECK(lock_of("ALTER TABLE t ADD a bigserial") == "t ACCESS EXCLUSIVE writes every row");
  CHECK(lock_of("ALTER TABLE t ALTER a SET NOT NULL") == "t ACCESS EXCLUSIVE reads every row");
  CHECK(lock_of("ALTER TABLE t ALTER a SET NOT NULL", {{"t", {true, 1, 1, 1, {}, {"a"}}}}) == "t ACCESS EXCLUSIVE metadata only");
  CHECK(lock_of("ALTER TABLE t ALTER COLUMN a SET DATA TYPE text", {{"t", {true, 1, 1, 1, {{"a", "character varying(9)"}}, {}}}}) == "t ACCESS EXCLUSIVE metadata only");
  CHECK(lock_of("ALTER TABLE t ALTER a TYPE int USING a::int", {{"t", {true, 1, 1, 1, {{"a", "text"}}, {}}}}) == "t ACCESS EXCLUSIVE writes every row");
  CHECK(lock_of("ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID") == "t ACCESS EXCLUSIVE metadata only");
  CHECK(lock_of("ALTER TABLE t VALIDATE CONSTRAINT c") == "t SHARE UPDATE EXCLUSIVE reads every row");
  CHECK(lock_of("ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES u(id)") == "t SHARE ROW EXCLUSIVE reads every row");
  CHECK(effects_of(parse("ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES u(id)"), {}, {}).size() == 2);
  CHECK(lock_of("ALTER TABLE t ADD CONSTRAINT u UNIQUE (a)") == "t ACCESS EXCLUSIVE builds an index");
  CHECK(lock_of("ALTER TABLE t ADD CONSTRAINT u UNIQUE USING INDEX i") == "t ACCESS EXCLUSIVE metadata only");
  CHECK(lock_of("UPDATE t SET a = 1") == "t ROW EXCLUSIVE writes every row");
  CHECK(lock_of("DROP TABLE IF EXISTS a, b") == "a ACCESS EXCLUSIVE metadata only");
  CHECK(lock_of("CREATE TABLE t(id int)") == "none");
  CHECK(effects_of(parse("CREATE INDEX ON t (x)"), {{"", "t"}}, {}).empty());
  CHECK(type_change_rewrites("character varying(20)", "varchar(10)"));
  CHECK_FALSE(type_change_rewrites("character varying(10)", "varchar(20)"));
  CHECK_FALSE(type_change_rewrites("integer", "int"));
  CHECK(type_change_rewrites("character varying(20)[]", "varchar(50)[]"));
  CHECK_FALSE(type_change_rewrites("numeric(10,2)", "decimal(12, 2)"));
  CHECK(type_change_rewrites("numeric(10,2)", "numeric(12,3)"));
  CHECK(type_change_rewrites("character(10)", "char(20)"));
  CHECK_FALSE(type_change_rewrites("timestamp(3) with time zone", "timestamptz"));
  CHECK(type_change_rewrites("timestamp without time zone", "timestamp(3)"));
  const Tables one_column{{"t", {true, 1, 1, 1, {{"a", "text"}}, {}}}};
  CHECK(lock_of("ALTER TABLE t ALTER a TYPE text USING lower(a)", one_column) == "t ACCESS EXCLUSIVE writes every row");
  CHECK(lock_of("ALTER TABLE t ALTER a TYPE text USING a || 'x', ALTER a SET DEFAULT ''", one_column) == "t ACCESS EXCLUSIVE writes every row");
  CHECK(lock_of("ALTER TABLE t ALTER \"a\" TYPE text USING \"a\"::text, ADD b int", one_column) == "t ACCESS EXCLUSIVE metadata only");
  CHECK(estimate(Work::scan, {true, 0, 2'000'000'000, 0, {}, {}}) > Milliseconds{9000});
}

TEST_CASE("migrate analysis: which checks keep a column from being NULL") {
  CHECK(columns_not_null_by("(n IS NOT NULL)") == List{"n"});
  CHECK(columns_not_null_by("((n IS NOT NULL) AND (\"B c\" IS NOT NULL) AND (x > 0))") == List{"n", "B c"});
  CHECK(columns_not_null_by("((n IS NOT NULL) OR (n > 5))").empty());
  CHECK(columns_not_null_by("((n IS NOT NULL) AND ((a IS NOT NULL) OR (b IS NOT NULL)))") == List{"n"});
  CHECK(columns_not_null_by("(NOT (n IS NOT NULL))").empty());
  CHECK(columns_not_null_by("(f(n) IS NOT NULL)").empty());
}

TEST_CASE("migrate analysis: a DO block's plain statements are read, the rest is said to be unseen") {
  const auto block = [](const std::string& body) { return parse("DO $$ " + body + " $$"); };
  const auto shown = [&](const std::string& body) {
    const auto parsed = block(body);
    std::string text;
    for (const auto& effect : effects_of(parsed, {}, {})) text += effect.table.shown() + " " + std::string{name_of(effect.lock)} + "; ";
    const auto unseen = unseen_in(parsed, {});
    return text + unseen;
  };
  CHECK(shown("BEGIN ALTER TABLE t ADD a int; EXCEPTION WHEN duplicate_column THEN NULL; END") == "t ACCESS EXCLUSIVE; ");
  CHECK(shown("DECLARE r record; n int := 1; BEGIN IF NOT EXISTS (SELECT 1 FROM x WHERE y = 'z') THEN CREATE INDEX i ON t(a); ELSIF true THEN LOCK u IN SHARE MODE; END IF; END") == "t SHARE; u SHARE; ");
  CHECK(shown("BEGIN FOR i IN 1..3 LOOP n := n + 1; DROP TABLE t; END LOOP; END") == "t ACCESS EXCLUSIVE; ");
  CHECK(shown("<<outer>> BEGIN CASE n WHEN 1 THEN TRUNCATE t; ELSE RAISE NOTICE 'x'; END CASE; END") == "t ACCESS EXCLUSIVE; ");
  CHECK(shown("BEGIN EXECUTE 'DROP TABLE t'; END") == "t ACCESS EXCLUSIVE; ");
  CHECK(shown("BEGIN EXECUTE format('DROP TABLE %I', x); END") == "EXECUTE in a DO block");
  CHECK(shown("BEGIN PERFORM migrate_all(); END") == "calls migrate_all()");
  CHECK(shown("BEGIN x := app.f(1); END") == "calls app.f()");
  CHECK(shown("BEGIN IF f() THEN NULL; END IF; END") == "calls f()");
  CHECK(shown("BEGIN FOR r IN DELETE FROM t RETURNING * LOOP NULL; END LOOP; END") == "a loop over delete in a DO block");
  CHECK(shown("BEGIN IF CASE WHEN a THEN b = 1 END THEN DROP TABLE t; END IF; END") == "a statement that codops doesn't know in a DO block");
  CHECK(unseen_in(parse("DO LANGUAGE plpython3u 'x'"), {}) == "a DO block in plpython3u");
  CHECK(unseen_in(parse("CALL p(1)"), {}) == "calls p()");
  CHECK(unseen_in(parse("SELECT app.format('x'), to_archive()"), {}) == "calls app.format()");
  CHECK(unseen_in(parse("SELECT create_hypertable('t', 'at')"), {}) == "calls create_hypertable()");
  CHECK(unseen_in(parse("SELECT count(*), max(a), set_config('x', 'y', true) FROM t WHERE a IN (1) AND (b)"), {}).empty());
  CHECK(unseen_in(parse("WITH x (a) AS (SELECT 1) INSERT INTO t (a) SELECT a FROM x"), {}).empty());
}

TEST_CASE("migrate lint: each rule on what it is for, and not on new tables") {
  CHECK(rules("CREATE TABLE t(a int PRIMARY KEY, b jsonb);\nCREATE INDEX i ON t(b);\nALTER TABLE t ADD CONSTRAINT u UNIQUE (b);").empty());
  CHECK(rules("CREATE INDEX i ON t(b)") == List{"index-not-concurrent"});
  CHECK(rules("CREATE INDEX CONCURRENTLY i ON t(b)").empty());
  CHECK(rules("CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t(b); SELECT 1;") == List{"concurrent-in-transaction", "concurrent-if-not-exists"});
  CHECK(rules("DROP INDEX i") == List{"drop-index-not-concurrent"});
  CHECK(rules("REINDEX TABLE t") == List{"reindex-not-concurrent"});
  CHECK(rules("BEGIN; BEGIN; COMMIT;") == List{"transaction-control", "transaction-nesting"});
  CHECK(rules("ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)") == List{"constraint-not-valid"});
  CHECK(rules("ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID").empty());
  CHECK(rules("ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES u(id)") == List{"foreign-key"});
  CHECK(rules("ALTER TABLE t ADD a uuid DEFAULT gen_random_uuid()") == List{"volatile-default"});
  CHECK(rules("ALTER TABLE t ADD a int GENERATED ALWAYS AS (b + 1) STORED") == List{"generated-column"});
  CHECK(rules("ALTER TABLE t ALTER a SET NOT NULL") == List{"not-null"});
  CHECK(rules("ALTER TABLE t ADD a int NOT NULL") == List{"required-field"});
  CHECK(rules("ALTER TABLE t ALTER a TYPE bigint") == List{"column-type"});
  CHECK(rules("ALTER TABLE t RENAME a TO b") == List{"rename-column"});
  CHECK(rules("ALTER TABLE t RENAME TO u") == List{"rename-table"});
  CHECK(rules("ALTER TYPE e RENAME VALUE 'a' TO 'b'") == List{"rename-enum"});
  CHECK(rules("ALTER TABLE t DROP COLUMN a") == List{"drop-column"});
  CHECK(rules("DROP TABLE t") == List{"drop-table"});
  CHECK(rules("TRUNCATE t CASCADE") == List{"truncate"});
  CHECK(rules("ALTER TABLE t ADD UNIQUE (a)") == List{"unique-constraint"});
  CHECK(rules("ALTER TABLE t ADD EXCLUDE USING gist (a WITH &&)") == List{"exclusion-constraint"});
  CHECK(rules("ALTER TABLE t ADD a int; UPDATE t SET a = 1 WHERE b") == List{"backfill-with-ddl"});
  CHECK(rules("DELETE FROM t") == List{"update-without-where"});
  CHECK(rules("ALTER TYPE e ADD VALUE 'x'; UPDATE t SET e = 'x' WHERE a") == List{"enum-value-used"});
  CHECK(rules("CREATE TABLE t(a json)") == List{"json-type"});
  CHECK(rules("CREATE TABLE t(a timestamp(3))") == List{"timestamp-without-zone"});
  CHECK(rules("CREATE TABLE a" + std::string(70, 'b') + "(i int)") == List{"identifier-too-long"});
  CHECK(rules("SET search_path = x") == List{"session-setting"});
  CHECK(rules("ALTER SYSTEM SET work_mem = '1MB'") == List{"alter-system"});
  CHECK(rules("\\set x") == List{"unfit-file"});
  CHECK(lint(migration("ALTER TABLE t DROP a;"), {true}).size() == 3);
}

TEST_CASE("migrate lint: what is dropped, rewritten or deleted in other words") {
  CHECK(rules("DROP SCHEMA s CASCADE") == List{"drop-schema"});
  CHECK(rules("DROP TYPE a, b") == List{"drop-type", "drop-type"});
  CHECK(rules("DROP OWNED BY r") == List{"drop-owned"});
  CHECK(rules("CLUSTER t USING i") == List{"table-rewrite"});
  CHECK(rules("VACUUM FULL t") == List{"table-rewrite"});
  CHECK(rules("VACUUM (FULL, ANALYZE) t") == List{"table-rewrite"});
  CHECK(rules("VACUUM t").empty());
  CHECK(rules("WITH x AS (DELETE FROM t RETURNING *), y AS MATERIALIZED (UPDATE u SET a = 1 WHERE b) INSERT INTO v SELECT * FROM x") == List{"update-without-where"});
  CHECK(rules("WITH x AS (SELECT 1) DELETE FROM t") == List{"update-without-where"});
  CHECK(rules("WITH x AS (SELECT (1)) SELECT * FROM x").empty());
  CHECK(rules("MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN DELETE") == List{"merge-delete"});
  CHECK(rules("MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN UPDATE SET a = 1").empty());
  CHECK(lock_of("WITH x AS (DELETE FROM t) SELECT 1") == "t ROW EXCLUSIVE reads every row");
  CHECK(lock_of("MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE") == "t ROW EXCLUSIVE the rows it touches");
  CHECK(rules("-- codops-lint: allow drop-tabel because old\nDROP TABLE t;") == List{"unknown-rule", "drop-table"});
  CHECK(lint(migration("-- codops-lint: allow drop-tabel because old\n"))[0].message == "there is no rule \"drop-tabel\"; did you mean \"drop-table\"?");
}

TEST_CASE("migrate lint: IF NOT EXISTS makes nothing new, and what is dropped or renamed is new no more") {
  const std::string found = "CREATE TABLE IF NOT EXISTS o(x int); CREATE INDEX i ON o(x); ALTER TABLE o ALTER x SET NOT NULL; DROP TABLE o;";
  CHECK(rules(found) == List{"index-not-concurrent", "not-null", "drop-table"});
  LintOptions empty;
  empty.absent = [](const Name& table) { return table.name == "o"; };
  CHECK(lint(migration(found), empty).empty());
  CHECK(rules("CREATE TABLE n(a int); DROP TABLE n; ALTER TABLE o RENAME TO n; TRUNCATE n;") == List{"rename-table", "truncate"});
  CHECK(rules("CREATE TABLE n(a int); ALTER TABLE n RENAME TO m; TRUNCATE m;").empty());
  CHECK(rules("DO $$ BEGIN CREATE TABLE n(a int); END $$; TRUNCATE n;") == List{"truncate"});
}

TEST_CASE("migrate lint: validating under the lock of the same transaction") {
  const std::string added = "ALTER TABLE o ADD CONSTRAINT f FOREIGN KEY (x) REFERENCES c(id) NOT VALID;";
  CHECK(rules(added + "ALTER TABLE o VALIDATE CONSTRAINT f;") == List{"validate-in-transaction"});
  CHECK(rules("ALTER TABLE o ADD CONSTRAINT k CHECK (x > 0) NOT VALID, VALIDATE CONSTRAINT k;") == List{"validate-in-transaction"});
  CHECK(rules("ALTER TABLE o VALIDATE CONSTRAINT f;").empty());
  CHECK(rules("BEGIN;" + added + "COMMIT; ALTER TABLE o VALIDATE CONSTRAINT f;") == List{"transaction-control"});
  CHECK(rules("BEGIN; ALTER TABLE o ADD y int; UPDATE o SET y = 1 WHERE x; COMMIT;") == List{"transaction-control", "backfill-with-ddl"});
}

TEST_CASE("migrate lint: a block's statements, what can't be seen, and other ways to drop, rewrite, lock") {
  CHECK(rules("DO $$ BEGIN ALTER TABLE o ADD CONSTRAINT f FOREIGN KEY (x) REFERENCES c(id); EXCEPTION WHEN duplicate_object THEN null; END $$;") == List{"foreign-key"});
  const auto inside = lint(migration("DO $$\nBEGIN\n  ALTER TABLE o ALTER a TYPE bigint;\nEND $$;"));
  REQUIRE(inside.size() == 1);
  CHECK(inside[0].rule == "column-type");
  CHECK(inside[0].line == 3);
  CHECK(inside[0].column == 3);
  CHECK(rules("DO $$ BEGIN EXECUTE format('DROP TABLE %I', 'o'); END $$") == List{"unseen-code"});
  CHECK(rules("SELECT create_hypertable('o', 'at')") == List{"unseen-code"});
  CHECK(rules("CALL rebuild()") == List{"unseen-code"});
  CHECK(rules("-- codops-lint: allow unseen-code because it only reads\nSELECT check_all();").empty());
  CHECK(rules("SELECT setval('s', (SELECT max(id) FROM o))").empty());
  CHECK(rules("WITH r AS (SELECT id, row_number() OVER (PARTITION BY a ORDER BY id) AS n FROM o) UPDATE o SET n = r.n FROM r WHERE r.id = o.id").empty());
  CHECK(rules("DROP EXTENSION citext CASCADE") == List{"drop-extension"});
  CHECK(rules("ALTER TYPE comp DROP ATTRIBUTE p CASCADE") == List{"drop-attribute"});
  CHECK(rules("LOCK TABLE o") == List{"lock-table"});
  CHECK(rules("ALTER VIEW v RENAME TO w") == List{"rename-table"});
  CHECK(rules("ALTER TABLE o SET SCHEMA old") == List{"rename-table"});
  CHECK(rules("ALTER SCHEMA app RENAME TO old") == List{"rename-table"});
  CHECK(rules("DELETE FROM o WHERE true; UPDATE o SET x = 1 WHERE 1=1") == List{"update-without-where", "update-without-where"});
  CHECK(rules("DELETE FROM o WHERE true AND x = 1").empty());
  CHECK(rules("ALTER TABLE o SET UNLOGGED; ALTER TABLE o SET ACCESS METHOD h") == List{"table-rewrite", "table-rewrite"});
  CHECK(rules("ALTER TABLE p ATTACH PARTITION q DEFAULT") == List{"attach-partition"});
  CHECK(rules("REFRESH MATERIALIZED VIEW mv; DROP VIEW v") == List{"refresh-not-concurrent", "drop-view"});
  CHECK(rules("DROP VIEW v; CREATE VIEW v AS SELECT 1").empty());
  CHECK(rules("DROP FUNCTION f() CASCADE; DROP SEQUENCE s CASCADE") == List{"drop-cascade", "drop-cascade"});
  CHECK(rules("CREATE DOMAIN d AS int CHECK (VALUE > 0); ALTER TABLE o ADD z d; ALTER DOMAIN d ADD CHECK (VALUE < 9)") == List{"domain-column", "domain-constraint"});
  CHECK(constrained_domains({migration("CREATE DOMAIN a AS int; CREATE DOMAIN s.b AS int NOT NULL;")}) == std::vector<Name>{{"s", "b"}});
}

TEST_CASE("migrate splitter: standard_conforming_strings off, by the script or by the database") {
  const std::string text = "SET standard_conforming_strings = off;\nINSERT INTO t VALUES ('it\\'s; so');\nRESET standard_conforming_strings;\nSELECT 'a\\';\nSELECT 2;";
  CHECK(split(text).size() == 5);
  CHECK(prepare(migration(text), false).apart);
  CHECK(split("SELECT 'it\\'s; so'; SELECT 2", true).size() == 2);
  CHECK_FALSE(prepare(migration("SET search_path = x; SELECT 1"), false).apart);
}

TEST_CASE("migrate: names from elsewhere don't steer a terminal") {
  CHECK(printable("x\n::error\x1b[2Jü") == "x\\x0a::error\\x1b[2Jü");
  CHECK_THROWS_AS(recognise({{"x\n::error/migration.sql", "SELECT 1"}}), Failure);
}

TEST_CASE("migrate: what of a statement reaches beyond its database") {
  const auto beyond = [](const std::string& text) { return beyond_database(text); };
  CHECK(beyond("CREATE ROLE a") == "CREATE ROLE");
  CHECK(beyond("alter user a SET work_mem = '1MB'") == "ALTER ROLE");
  CHECK(beyond("DROP GROUP a") == "DROP ROLE");
  CHECK(beyond("CREATE USER MAPPING FOR a SERVER s").empty());
  CHECK(beyond("GRANT a TO b") == "GRANT of a role");
  CHECK(beyond("REVOKE ADMIN OPTION FOR a FROM b") == "REVOKE of a role");
  CHECK(beyond("GRANT SELECT (a, b) ON t TO c").empty());
  CHECK(beyond("GRANT CONNECT ON DATABASE d TO c") == "GRANT ON DATABASE");
  CHECK(beyond("ALTER DATABASE d SET work_mem = '8MB'") == "ALTER DATABASE");
  CHECK(beyond("ALTER SYSTEM SET work_mem = '8MB'") == "ALTER SYSTEM");
  CHECK(beyond("COMMENT ON ROLE a IS 'x'") == "COMMENT ON ROLE");
  CHECK(beyond("COMMENT ON TABLE role IS 'x'").empty());
  CHECK(beyond("REASSIGN OWNED BY a TO b") == "REASSIGN OWNED");
  CHECK(beyond("CREATE SUBSCRIPTION s CONNECTION '' PUBLICATION p") == "CREATE SUBSCRIPTION");
  CHECK(beyond("COPY t TO '/tmp/x'") == "COPY to a file of the server");
  CHECK(beyond("COPY t FROM PROGRAM 'id'") == "COPY with a program of the server");
  CHECK(beyond("COPY t FROM stdin").empty());
  CHECK(beyond("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO a").empty());
  CHECK(beyond("CREATE TABLE role(id int)").empty());
}

TEST_CASE("migrate lint: an exception needs a reason; SARIF and JSON have every finding") {
  CHECK(rules("-- codops-lint: allow drop-table, drop-column because nothing reads them\nDROP TABLE t;\nALTER TABLE u DROP a;").empty());
  CHECK(rules("-- codops-lint: allow drop-table\nDROP TABLE t;") == List{"allow-without-reason", "drop-table"});
  CHECK(rules("SELECT '-- codops-lint: allow drop-table because no';\nDROP TABLE t;") == List{"drop-table"});
  const auto findings = lint(migration("-- codops-lint: allow drop-table because old\nDROP TABLE t;\nDROP INDEX i;"));
  const auto sarif = nlohmann::json::parse(to_sarif(findings, "prisma/migrations", "1"));
  REQUIRE(sarif["runs"][0]["results"].size() == 2);
  CHECK(sarif["runs"][0]["results"][0]["suppressions"][0]["justification"] == "old");
  CHECK(sarif["runs"][0]["results"][1]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "prisma/migrations/m/migration.sql");
  CHECK(sarif["runs"][0]["results"][1]["locations"][0]["physicalLocation"]["region"]["startLine"] == 3);
  auto odd = migration("DROP TABLE t;");
  odd.path = "a \"#%20?ü/migration.sql";
  const auto encoded = nlohmann::json::parse(to_sarif(lint(odd), "db", "1"));
  CHECK(encoded["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "db/a%20%22%23%2520%3F%C3%BC/migration.sql");
  CHECK(nlohmann::json::parse(to_json(findings))["findings"][0]["suppressed"] == true);
  CHECK(open_findings(findings, Severity::warning) == 1);
}

TEST_CASE("migrate progress: its text is read back, other logs are not taken for it") {
  Progress progress{3, 7, true, "abc", R"({"at":2})", "boom\nline two"};
  const auto back = progress_from(to_text(progress));
  REQUIRE(back);
  CHECK(back->done == 3);
  CHECK(back->total == 7);
  CHECK(back->started);
  CHECK(back->digest == "abc");
  CHECK(back->notes == R"({"at":2})");
  CHECK(back->error == "boom\nline two");
  CHECK_FALSE(progress_from("Database error code: 42P01"));
  CHECK_FALSE(progress_from(""));
}

TEST_CASE("migrate ledger: golang-migrate's one row covers what lies below, a Flyway baseline too") {
  Source source;
  source.layout = Layout::golang_migrate;
  for (const auto* version : {"1", "2", "3"}) {
    auto one = migration("SELECT 1");
    one.key = one.name = version;
    source.migrations.push_back(one);
  }
  Entry entry;
  entry.key = "2";
  entry.finished = true;
  auto ledger = evaluate(source, {entry}, nullptr, true);
  CHECK(ledger.count(State::applied) == 2);
  CHECK(ledger.count(State::pending) == 1);
  entry.finished = false;
  CHECK(evaluate(source, {entry}, nullptr, true).exit() == Exit::failed);
  source.layout = Layout::flyway;
  entry.finished = true;
  entry.logs = "baseline";
  CHECK(evaluate(source, {entry}, nullptr, true).count(State::applied) == 2);
}

TEST_CASE("migrate new: the layout's own names") {
  const auto now = *parse_rfc3339("2026-11-23T10:15:00Z");
  CHECK(new_migration(Layout::prisma, {}, "Add COD fee!", now)[0].path == "20261123101500_add_cod_fee/migration.sql");
  CHECK(new_migration(Layout::dbmate, {}, "x", now)[0].path == "20261123101500_x.sql");
  Source existing;
  existing.migrations.push_back(migration(""));
  existing.migrations[0].key = "12";
  existing.migrations[0].path = "000012_a.up.sql";
  CHECK(new_migration(Layout::golang_migrate, existing, "x", now)[0].path == "000013_x.up.sql");
  CHECK(new_migration(Layout::flyway, existing, "x", now)[0].path == "V13__x.sql");
  CHECK_THROWS_AS(new_migration(Layout::prisma, {}, "!!", now), Failure);
  CHECK_THROWS_WITH_AS(new_migration(Layout::prisma, {}, std::string(300, 'a'), now), "the name has 300 letters; 200 is the most", Failure);
}

TEST_CASE("db init: the SQL shows no password, names are quoted") {
  const Provision wanted{"sh\"op", "ann", Secret{"c4nary"}, {"pgcrypto"}};
  const auto sql = to_sql(wanted, provision_steps(wanted));
  CHECK(sql.find("c4nary") == std::string::npos);
  CHECK(sql.find("CREATE DATABASE \"sh\"\"op\" OWNER \"ann\"") != std::string::npos);
  CHECK(sql.find("PASSWORD '***'") != std::string::npos);
}

TEST_CASE("migrate verify: what differs, on which side") {
  const auto differences = compare({{"table a", "r p"}, {"table b", "r p"}}, {{"table b", "r u"}, {"table c", "r p"}});
  REQUIRE(differences.size() == 3);
  CHECK(differences[0].replayed.empty());
  CHECK(differences[1].live == "r p");
  CHECK(differences[2].live.empty());
}
