// Databases whose owners have guarded or joined them in ways that a restore must not stumble over.
#include "lib/backup/verify.hpp"
#include "tests/support/restore_fixture.hpp"

using namespace codops;
using namespace codops::tests;

namespace {

backup::RestoreRequest into(const std::string& name) {
  backup::RestoreRequest request;
  request.into = name;
  return request;
}

std::vector<backup::Options> forms() {
  backup::Options simple, parallel, plain;
  parallel.dump.jobs = 2;
  parallel.dump.large = 0;
  plain.dump.archive = false;
  plain.dump.plain = true;
  return {simple, parallel, plain};
}

}  // namespace

TEST_CASE("restore: privileges come when all rows are there and before what needs them: an owner may have taken them from himself") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, "CREATE SEQUENCE customers_id_seq"};
  Owner owner{shop};
  ask(shop.target(), "ALTER SEQUENCE customers_id_seq OWNER TO " + owner.name);
  ask(shop.target(), "ALTER SCHEMA public OWNER TO " + owner.name);
  ask(owner.target, "CREATE TABLE t (id serial PRIMARY KEY, a int); INSERT INTO t (a) SELECT generate_series(1, 100); CREATE TABLE u (t int REFERENCES t, b int); INSERT INTO u VALUES (1, 1), (2, NULL);"
                    "CREATE INDEX ON u (b); COMMENT ON TABLE t IS 'guarded'; REVOKE ALL ON t, u FROM CURRENT_USER; REVOKE ALL ON SEQUENCE t_id_seq FROM CURRENT_USER; GRANT SELECT ON t TO PUBLIC");
  Restoring it{shop};
  for (const auto& options : forms()) {
    CAPTURE(options.dump.jobs);
    if (!options.dump.archive) continue;  // those rows are read back, which takes SELECT
    it.take(shop.target(), options);
    auto request = into(shop.name + "_copy");
    request.backup = "latest";
    request.load.jobs = 2;
    backup::restore(it.catalogue, {"test", owner.target, {}}, request, {}, {}, it.keys, it.clock, it.reporter, a_minute());
    CHECK((fingerprint(shop.target(request.into)) == fingerprint(shop.target())));
    CHECK(answer(shop.target(request.into), "SELECT concat((SELECT count(*) FROM t), ' ', (SELECT count(*) FROM u), ' ', nextval('t_id_seq'), ' ', has_table_privilege('" + owner.name + "', 't', 'INSERT'))") == "100 2 101 f");
    ask(shop.target("postgres"), "DROP DATABASE " + request.into);
  }
  // What is read for a view is read with its owner's rights, and event triggers would act on all of this.
  ask(shop.target(), "CREATE ROLE viewer_of_all; CREATE ROLE holder_of_all; CREATE TABLE held AS SELECT 7 AS i; CREATE MATERIALIZED VIEW seen AS SELECT i FROM held; GRANT CREATE ON SCHEMA public TO viewer_of_all, holder_of_all;"
                     "ALTER TABLE held OWNER TO holder_of_all; ALTER MATERIALIZED VIEW seen OWNER TO viewer_of_all; GRANT SELECT ON held TO viewer_of_all; GRANT SELECT ON seen TO holder_of_all;"
                     "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO viewer_of_all; CREATE FUNCTION no() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;"
                     "CREATE EVENT TRIGGER stops_all ON ddl_command_start WHEN TAG IN ('CREATE INDEX', 'ALTER TABLE') EXECUTE FUNCTION no(); COMMENT ON EVENT TRIGGER stops_all IS 'really'");
  const auto before = fingerprint(shop.target());
  for (const auto& options : forms()) {
    CAPTURE(options.dump.jobs);
    it.take(shop.target(), options);
    it.restore(into(shop.name + "_copy"));
    CHECK((fingerprint(shop.target(shop.name + "_copy")) == before));
    ask(shop.target("postgres"), "DROP DATABASE " + shop.name + "_copy");
    const auto drilled = backup::drill(it.catalogue, it.catalogue.find("latest", a_minute()), shop.target("postgres"), false, {}, it.keys, it.clock, it.reporter, a_minute());
    CHECK(drilled.difference == "");
  }
  ask(shop.target("postgres"), "DROP DATABASE " + shop.name + " WITH (FORCE)");
  ask(shop.target("postgres"), "DROP ROLE viewer_of_all; DROP ROLE holder_of_all");
}

TEST_CASE("restore: a materialized view over another server's table stays without rows when that one is gone, and is told") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, "CREATE TABLE t AS SELECT generate_series(1, 10) i"};
  Restoring it{shop};
  const auto remote = shop.name + "_far";
  ask(shop.target("postgres"), "CREATE DATABASE " + remote);
  ask(shop.target(remote), "CREATE TABLE rt AS SELECT 5 AS i");
  ask(shop.target(), fmt::format("CREATE EXTENSION postgres_fdw; CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '{}', dbname '{}');"
                                 "CREATE USER MAPPING FOR postgres SERVER far OPTIONS (user 'postgres', password '{}'); CREATE FOREIGN TABLE rt (i int) SERVER far;"
                                 "CREATE MATERIALIZED VIEW m AS SELECT i FROM rt; CREATE MATERIALIZED VIEW near AS SELECT count(*) AS n FROM t",
                                 server->port(), remote, PostgresServer::password));
  it.take(shop.target());
  CHECK(it.restore(into(shop.name + "_copy")).notes.empty());
  CHECK(answer(shop.target(shop.name + "_copy"), "SELECT concat(m.i, ' ', n) FROM m, near") == "5 10");
  ask(shop.target("postgres"), "DROP DATABASE " + remote + " WITH (FORCE)");
  const auto restored = it.restore(into(shop.name + "_copy2"));
  REQUIRE(restored.notes.size() == 1);
  CHECK(restored.notes[0].starts_with("materialized view \"public.m\" is left without rows, because of another server: could not connect to server \"far\""));
  CHECK(restored.notes[0].find("REFRESH MATERIALIZED VIEW \"public\".\"m\"") != std::string::npos);
  CHECK(answer(shop.target(shop.name + "_copy2"), "SELECT concat((SELECT relispopulated FROM pg_class WHERE relname = 'm'), (SELECT count(*) FROM t), (SELECT n FROM near))") == "f1010");
  const auto drilled = backup::drill(it.catalogue, it.catalogue.find("latest", a_minute()), shop.target("postgres"), false, {}, it.keys, it.clock, it.reporter, a_minute());
  CHECK(drilled.difference == "");
}

TEST_CASE("backup: a role that may enter no database but its own takes one") {
  auto server = PostgresServer::start();
  if (server == nullptr) return;
  Shop shop{*server, "SELECT 1"};
  Owner owner{shop};
  ask(owner.target, "CREATE TABLE t AS SELECT generate_series(1, 10) i");
  ask(server->tcp(), "REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC");
  Restoring it{shop};
  const auto taken = it.take(owner.target);
  CHECK(taken.manifest.find("globals") != nullptr);
  CHECK(content_of(taken.manifest, "public.t")->rows == 10);
}

TEST_CASE("restore: NULLs in arrays are NULLs, whatever the role has set") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, "CREATE TABLE t (a text[] DEFAULT '{NULL,d}'); INSERT INTO t VALUES (ARRAY[NULL, 'x'])"};
  ask(shop.target(), "CREATE ROLE no_nulls SUPERUSER LOGIN PASSWORD 'pw'; ALTER ROLE no_nulls SET array_nulls = off");
  auto target = shop.target();
  target.user = "no_nulls";
  target.password = Secret{"pw"};
  Restoring it{shop};
  Files files{shop, *server};
  const auto whole = [&](backup::RestoreRequest request) {
    request.into = shop.name + "_copy";
    backup::restore(it.catalogue, {"test", target, {}}, request, {}, {}, it.keys, it.clock, it.reporter, a_minute());
    CHECK(answer(shop.target(request.into), "INSERT INTO t DEFAULT VALUES; SELECT concat(bool_and(a[1] IS NULL), count(*)) FROM t") == "t2");
    ask(shop.target("postgres"), "DROP DATABASE " + request.into);
  };
  for (const auto& options : forms()) {
    it.take(target, options);
    backup::RestoreRequest request;
    request.backup = "latest";
    whole(request);
  }
  whole(files.request(files.dump({"-Fc"})));
  whole(files.request(files.dump({})));
  ask(shop.target("postgres"), "DROP ROLE no_nulls");
}

TEST_CASE("restore: SQL of more tables than the server has locks for") {
  PostgresOptions with;
  with.settings = {"max_connections=12", "max_locks_per_transaction=10", "max_wal_senders=0"};
  auto server = PostgresServer::start(with);
  if (server == nullptr) return;
  Shop shop{*server, "SELECT 1"};
  Restoring it{shop};
  Files files{shop, *server};
  // pg_dump itself locks each of them: it is another server's dump that comes here.
  auto sql = std::string{"--\n-- PostgreSQL database dump\n--\n\nSET standard_conforming_strings = on;\n"};
  for (int i = 0; i < 600; ++i) sql += fmt::format("CREATE TABLE public.n{0} (id integer NOT NULL, s text);\nCREATE SEQUENCE public.n{0}_seq AS integer;\nALTER TABLE ONLY public.n{0} ADD CONSTRAINT n{0}_pkey PRIMARY KEY (id);\n", i);
  sql += "COPY public.n0 (id, s) FROM stdin;\n1\tx\n\\.\n\n--\n-- PostgreSQL database dump complete\n--\n";
  auto request = files.request(sql);
  request.into = shop.name + "_copy";
  it.restore(request);
  CHECK(answer(shop.target(request.into), "SELECT concat((SELECT count(*) FROM pg_class WHERE relkind = 'i' AND relname LIKE 'n%_pkey'), (SELECT s FROM n0))") == "600x");
}

TEST_CASE("restore: who goes on writing while the live database refuses writes by default is told") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, "CREATE TABLE t AS SELECT 1 AS i; CREATE ROLE writes_anyway LOGIN; CREATE ROLE writes_here LOGIN; CREATE ROLE reads_here LOGIN; CREATE ROLE writes_elsewhere LOGIN"};
  ask(shop.target(), fmt::format("ALTER ROLE writes_anyway SET default_transaction_read_only = off; ALTER DATABASE {0} SET default_transaction_read_only = on; ALTER ROLE writes_here IN DATABASE {0} SET default_transaction_read_only = 'FALSE';"
                                 "ALTER ROLE reads_here SET default_transaction_read_only = off; ALTER ROLE reads_here IN DATABASE {0} SET default_transaction_read_only = on;"
                                 "ALTER ROLE writes_elsewhere IN DATABASE postgres SET default_transaction_read_only = off", shop.name));
  Restoring it{shop};
  it.take(shop.target());
  backup::RestoreRequest request;
  request.backup = "latest";
  request.safety_backup = false;
  request.read_only = true;
  const auto findings = backup::check_restore(it.catalogue, {"test", shop.target(), {}}, request, it.keys, a_minute());
  const auto restored = it.restore(request);
  REQUIRE(findings.size() == 2);
  REQUIRE(restored.notes.size() == 2);
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK_FALSE(findings[i].blocks);
    CHECK(findings[i].message == restored.notes[i]);
    CHECK(findings[i].message.starts_with(i == 0 ? "role \"writes_anyway\" has" : "role \"writes_here\" has"));
  }
  request.read_only = false;
  CHECK(backup::check_restore(it.catalogue, {"test", shop.target(), {}}, request, it.keys, a_minute()).empty());
  // They would be told of in others' restores too.
  ask(shop.target("postgres"), "ALTER ROLE writes_anyway RESET default_transaction_read_only; ALTER ROLE reads_here RESET default_transaction_read_only");
}
