// Databases that are sound and unusual: encodings, names, partitions, roles with few rights.
#include "lib/backup/export.hpp"
#include "lib/backup/read_back.hpp"
#include "lib/backup/restore.hpp"
#include "lib/backup/swap.hpp"
#include "lib/backup/verify.hpp"
#include "lib/io/process.hpp"
#include "tests/support/backup_fixture.hpp"

using namespace codops;
using namespace codops::tests;

namespace {

struct Odd : Backups {
  Odd(PostgresServer& from, std::string database) : server{from}, name{std::move(database)} {}
  io::postgres::Target target(const std::string& database = {}) const {
    auto target = server.tcp(database.empty() ? name : database);
    if (!role.empty()) {
      target.user = role;
      target.password = Secret{"pw"};
    }
    return target;
  }
  backup::Restored restore(backup::RestoreRequest request = {}) {
    if (request.file.empty()) request.backup = "latest";
    request.safety_backup = false;
    if (!request.tables.empty()) return backup::restore_tables(catalogue, {"test", target(), {}}, request, keys, clock, reporter, a_minute());
    return backup::restore(catalogue, {"test", target(), {}}, request, {}, {}, keys, clock, reporter, a_minute());
  }
  std::string drill() {
    return backup::drill(catalogue, catalogue.find("latest", a_minute()), server.tcp("postgres"), false, {}, keys, clock, reporter, a_minute()).difference;
  }
  bool verified() {
    backup::Progress progress{reporter, clock, "verify", 0};
    return backup::verify(catalogue, catalogue.find("latest", a_minute()), keys, clock.now(), progress, a_minute()).whole;
  }
  PostgresServer& server;
  std::string name, role;
};

std::vector<backup::Options> forms() {
  std::vector<backup::Options> all(3);
  all[1].dump.jobs = 2;
  all[1].dump.large = 0;
  all[2].dump.archive = false;
  all[2].dump.plain = true;
  return all;
}

Failure failure_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Failure& failure) {
    return failure;
  }
  FAIL("it was taken");
  return {Exit::ok, {}};
}

}  // namespace

TEST_CASE("odd databases: names and rows outside ASCII in every kind of encoding, whatever clients are told to use") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  struct Kind {
    const char *encoding, *schema, *table, *value, *setting;
  };
  for (const auto& kind : {Kind{"UTF8", "sch\u00e9", "t\u00e0b", "\u00e9", "LATIN1"}, Kind{"LATIN1", "sch\u00e9", "t\u00e0b", "\u00e9", "UTF8"},
                           Kind{"EUC_JP", "\u65e5\u672c", "\u8868", "\u5024", "UTF8"}, Kind{"SQL_ASCII", "a\xe9", "b\xff", "\xe9\x80", "UTF8"}}) {
    CAPTURE(kind.encoding);
    const std::string name = server->create_database("odd");
    const auto quoted = fmt::format("\"{}\".\"{}\"", kind.schema, kind.table);
    ask(server->tcp("postgres"), "DROP DATABASE " + name);
    ask(server->tcp("postgres"), fmt::format("CREATE DATABASE {0} TEMPLATE template0 ENCODING '{1}' LC_COLLATE 'C' LC_CTYPE 'C'", name, kind.encoding));
    Odd it{*server, name};
    // Statements as they stand here: UTF-8, or bytes that are no characters at all.
    const auto said = [&](const io::postgres::Target& target, const std::string& sql) {
      auto connection = io::postgres::Connection::open(target, a_minute());
      if (kind.encoding == std::string{"SQL_ASCII"}) connection.run("SET client_encoding = 'SQL_ASCII'", a_minute());
      const auto rows = connection.run(sql, a_minute()).last;
      return rows.empty() ? std::string{} : std::string{rows.text(0, 0)};
    };
    said(it.target(), fmt::format("CREATE SCHEMA \"{0}\"; CREATE TABLE {1} (\"{2}\" text, n int); INSERT INTO {1} SELECT '{2}', i FROM generate_series(1, 500) i", kind.schema, quoted, kind.value));
    ask(it.target(), fmt::format("ALTER DATABASE {} SET client_encoding = '{}'", name, kind.setting));
    const auto rows = [&](const std::string& database, const std::string& table) {
      return said(it.target(database), fmt::format("SELECT concat(count(*), ' ', sum(n), ' ', encode(min(\"{}\")::bytea, 'hex')) FROM {}", kind.value, table));
    };
    const auto before = rows(name, quoted);
    int copies = 0;
    for (const auto& options : forms()) {
      CAPTURE(options.dump.jobs);
      CAPTURE(options.dump.plain);
      const auto taken = it.take(it.target(), options);
      CHECK(backup::parse_manifest(backup::to_json(taken.manifest)) == taken.manifest);
      CHECK(it.verified());
      CHECK(it.drill() == "");
      backup::RestoreRequest request;
      request.into = fmt::format("{}_{}", name, ++copies);
      it.restore(request);
      CHECK(rows(request.into, quoted) == before);
      if (!options.dump.archive || kind.encoding == std::string{"SQL_ASCII"}) continue;
      request = {};
      request.tables = {fmt::format("{}.{}", kind.schema, kind.table)};
      const auto side = it.restore(request);
      CHECK(rows(name, fmt::format("{}.\"{}\"", side.schema, kind.table)) == before);
    }
    it.restore();
    CHECK(rows(name, quoted) == before);
  }
}

TEST_CASE("odd databases: rows of partitions come by the names of their columns, and other servers are not asked for any") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Odd it{*server, server->create_database("parted")};
  ask(it.target(), "CREATE TABLE p (a text, gone int, b text) PARTITION BY LIST (a); ALTER TABLE p DROP COLUMN gone; CREATE TABLE p1 (b text, a text); ALTER TABLE p ATTACH PARTITION p1 FOR VALUES IN ('key');"
                   "CREATE TABLE p2 PARTITION OF p FOR VALUES IN ('other'); INSERT INTO p VALUES ('key', 'value'), ('other', 'thing');"
                   "CREATE TABLE calc (a int, twice int GENERATED ALWAYS AS (a * 2) STORED, b text); INSERT INTO calc (a, b) VALUES (1, 'x')");
  const auto all = [&](const std::string& schema) {
    return answer(it.target(), "SELECT concat((SELECT string_agg(a || '=' || b, ',' ORDER BY a) FROM " + schema + ".p), ' ', (SELECT concat(a, twice, b) FROM " + schema + ".calc))");
  };
  // Nobody answers there: whoever asks has failed.
  ask(it.target(), "CREATE EXTENSION postgres_fdw; CREATE SERVER away FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '1');"
                   "CREATE TABLE f (k int) PARTITION BY RANGE (k); CREATE TABLE f1 PARTITION OF f FOR VALUES FROM (0) TO (100);"
                   "CREATE FOREIGN TABLE f2 PARTITION OF f FOR VALUES FROM (100) TO (200) SERVER away; INSERT INTO f VALUES (1)");
  for (auto options : forms()) {
    CAPTURE(options.dump.jobs);
    it.take(it.target(), options);
    CHECK(it.drill() == "");
    if (options.dump.archive) {
      backup::RestoreRequest request;
      request.tables = {"p", "calc"};
      const auto side = it.restore(request);
      CHECK(all(side.schema) == "key=value,other=thing 12x");
      ask(it.target(), "DROP SCHEMA " + side.schema + " CASCADE");
    }
    it.restore();
    CHECK(all("public") == "key=value,other=thing 12x");
    CHECK(answer(it.target(), "SELECT reltuples::int::text FROM pg_class WHERE relname = 'f1'") == "1");
  }
  // Such a setting is no reason to be without the rows.
  ask(it.target(), "ALTER DATABASE " + it.name + " SET default_transaction_read_only = on");
  it.take(it.target());
  backup::RestoreRequest request;
  request.tables = {"p"};
  CHECK_FALSE(it.restore(request).schema.empty());
}

TEST_CASE("odd databases: dump files that make the schema public") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Odd it{*server, server->create_database("public")};
  ask(it.target(), "CREATE TABLE t AS SELECT generate_series(1, 100) a");
  const io::TemporaryFolder folder;
  for (const char* format : {"-Fp", "-Fc"}) {
    CAPTURE(format);
    io::capture({{"pg_dump", format, "-n", "public", "-f", (folder.path() / format).string(), "postgresql://postgres@/" + it.name + "?host=" + server->folder() + "&port=" + std::to_string(server->port())}, {}, {}},
                a_minute());
    backup::RestoreRequest request;
    request.file = folder.path() / format;
    it.restore(request);
    CHECK(answer(it.target(), "SELECT count(*)::text FROM t") == "100");
  }
}

TEST_CASE("odd databases: a name as long as it may be, of characters that are several bytes each") {
  std::string name;
  for (int i = 0; i < 31; ++i) name += "\u00e9";
  name += "a";
  const auto side = backup::side_name(name, "before", WallTime{});
  CHECK(side.size() <= 63);
  CHECK(side.starts_with("\u00e9"));
  CHECK(side.find("\u00e9~") != std::string::npos);
  CHECK(side.find("_before_") != std::string::npos);
  // Others begin with the same characters.
  CHECK(side != backup::side_name(name.substr(0, name.size() - 1) + "b", "before", WallTime{}));
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  ask(server->tcp("postgres"), "CREATE DATABASE " + io::postgres::quote_identifier(name));
  Odd it{*server, name};
  ask(it.target(), "CREATE TABLE t AS SELECT 1 AS a");
  it.take(it.target());
  const auto aside = it.restore().aside;
  CHECK(answer(it.target(aside), "SELECT a::text FROM t") == "1");
  backup::undo_restore({"test", it.target(), {}}, {}, {}, it.clock, it.reporter, a_minute());
}

TEST_CASE("odd databases: a role with three connections restores, and one that may not make an extension is told before anything happens") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Odd it{*server, server->create_database("owned")};
  ask(it.target(), "CREATE ROLE modest_owner LOGIN CREATEDB PASSWORD 'pw' CONNECTION LIMIT 3; ALTER DATABASE " + it.name + " OWNER TO modest_owner; ALTER SCHEMA public OWNER TO modest_owner");
  it.role = "modest_owner";
  ask(it.target(), "CREATE TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 20000) i; CREATE INDEX ON t (i); CREATE INDEX ON t (md5); CREATE TABLE u AS SELECT 1 a");
  for (const auto& options : forms()) {
    CAPTURE(options.dump.jobs);
    it.take(server->tcp(it.name), options);
    backup::RestoreRequest request;
    request.load.jobs = 4;
    it.restore(request);
    CHECK(answer(it.target(), "SELECT count(*)::text FROM t") == "20000");
  }
  ask(server->tcp(it.name), "CREATE EXTENSION pg_stat_statements");
  it.take(server->tcp(it.name));
  const auto failure = failure_of([&] { it.restore(); });
  CHECK(failure.message().find("extension \"pg_stat_statements\" can be made by a superuser only") != std::string::npos);
  CHECK(failure.hint().find("superuser") != std::string::npos);
  CHECK(answer(it.target(), "SELECT string_agg(datname, ',') FROM pg_database WHERE datname LIKE '" + it.name + "_new%'").empty());
}

TEST_CASE("odd databases: an inheritance child whose columns come in another order when it is made anew") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Odd it{*server, server->create_database("heirs")};
  ask(it.target(), "CREATE TABLE par (i int, a text); CREATE TABLE chi (j int) INHERITS (par); ALTER TABLE par ADD COLUMN late date; CREATE TABLE bare ();"
                   "INSERT INTO par VALUES (1, 'p', '2021-01-01'); INSERT INTO chi (i, a, j, late) SELECT i, 'c', i * 2, '2022-01-01' FROM generate_series(1, 50) i; INSERT INTO bare DEFAULT VALUES");
  int copies = 0;
  for (const auto& options : forms()) {
    CAPTURE(options.dump.jobs);
    CAPTURE(options.dump.plain);
    it.take(it.target(), options);
    CHECK(it.drill() == "");
    backup::RestoreRequest request;
    request.into = fmt::format("{}_{}", it.name, ++copies);
    CHECK(it.restore(request).notes.empty());
    CHECK(answer(it.target(request.into), "SELECT concat(sum(i), ' ', sum(j), ' ', min(late)) FROM chi") == "1275 2550 2022-01-01");
  }
}

TEST_CASE("odd databases: names with dots are told apart") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Odd it{*server, server->create_database("dots")};
  ask(it.target(), "CREATE SCHEMA \"a.b\"; CREATE SCHEMA a; CREATE TABLE \"a.b\".c (i int); CREATE TABLE a.\"b.c\" (i int, s text); CREATE TABLE a.\"x\"\".y\" (i int);"
                   "INSERT INTO \"a.b\".c SELECT generate_series(1, 10); INSERT INTO a.\"b.c\" SELECT i, 'x' FROM generate_series(1, 7) i; INSERT INTO a.\"x\"\".y\" VALUES (1)");
  for (const auto& options : forms()) {
    CAPTURE(options.dump.jobs);
    CAPTURE(options.dump.plain);
    const auto taken = it.take(it.target(), options);
    CHECK(taken.manifest.contents() == "3 tables, 18 rows");
    CHECK(it.verified());
    CHECK(it.drill() == "");
    it.restore();
    CHECK(answer(it.target(), "SELECT concat((SELECT count(*) FROM \"a.b\".c), ' ', (SELECT count(*) FROM a.\"b.c\"), ' ', (SELECT count(*) FROM a.\"x\"\".y\"))") == "10 7 1");
    if (!options.dump.archive) continue;
    backup::RestoreRequest request;
    request.tables = {"a.b.c"};
    CHECK(failure_of([&] { it.restore(request); }).message() == "\"a.b.c\" is in several schemas: \"a\".\"b.c\", \"a.b\".\"c\"");
    request.tables = {"\"a.b\".c"};
    const auto side = it.restore(request);
    CHECK(side.rows == 10);
    CHECK(answer(it.target(), "SELECT count(*)::text FROM " + side.schema + ".c") == "10");
    request.tables = {"b.c"};
    CHECK(it.restore(request).rows == 7);
  }
  // As an earlier codops named them.
  CHECK(backup::difference({{"x.y.z", 1, "d"}}, {{"\"x\".\"y.z\"", {"\"x\".\"y.z\"", 1, "d"}}}) == "");
  CHECK(backup::difference({{"x.y.z", 1, "d"}}, {{"\"x\".\"y.z\"", {"\"x\".\"y.z\"", 2, "d"}}}) == "\"x.y.z\" has 2 rows instead of 1");
}

TEST_CASE("odd databases: of an extension's tables the rows are compared that pg_dump takes along, and what can't be compared is told, not called damage") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Odd it{*server, server->create_database("conf")};
  // As CREATE EXTENSION postgis leaves its spatial_ref_sys.
  ask(it.target(), "CREATE TABLE spatial_ref (srid int PRIMARY KEY, txt text); INSERT INTO spatial_ref SELECT i, 'builtin' FROM generate_series(1, 50) i; INSERT INTO spatial_ref VALUES (100, 'mine');"
                   "CREATE EXTENSION hstore; ALTER EXTENSION hstore ADD TABLE spatial_ref;"
                   "UPDATE pg_extension SET extconfig = ARRAY['spatial_ref'::regclass::oid], extcondition = ARRAY['WHERE srid > 50'] WHERE extname = 'hstore'; CREATE TABLE floats AS SELECT 0.1::float8 AS f");
  auto manifest = it.take(it.target()).manifest;
  REQUIRE(content_of(manifest, "public.spatial_ref") != nullptr);
  CHECK(content_of(manifest, "public.spatial_ref")->rows == 1);
  backup::Progress progress{it.reporter, it.clock, "test", 0};
  const auto back = [&] { return backup::read_back(it.target(), manifest, {{"public.spatial_ref", "(srid, txt)"}}, progress, a_minute()); };
  const auto same = back();
  CHECK(backup::difference(manifest.tables, same.found) == "");
  CHECK(same.not_compared.empty());
  // Another version of the extension brings other rows.
  ask(it.target(), "UPDATE pg_extension SET extcondition = ARRAY['WHERE srid > 40'] WHERE extname = 'hstore'");
  const auto other = back();
  CHECK(backup::difference(manifest.tables, other.found) == "");
  REQUIRE(other.not_compared.size() == 1);
  CHECK(other.not_compared[0] == "\"public.spatial_ref\" is not compared as it is now: it is extension \"hstore\"'s, which brings rows of its own");
  // Other text for the same value, which only another major can be the reason of.
  ask(it.target(), "UPDATE floats SET f = 0.2");
  CHECK(backup::difference(manifest.tables, back().found) == "\"public.floats\" has other rows than the manifest says");
  manifest.database->server_number = 110022;
  CHECK(backup::difference(manifest.tables, back().found) == "");
  CHECK(back().not_compared.size() == 2);
  ask(it.target(), "DELETE FROM floats");
  CHECK(backup::difference(manifest.tables, back().found) == "\"public.floats\" has 0 rows instead of 1");
}
