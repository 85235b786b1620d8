// What a database says by its settings rather than its rows.
#include "lib/backup/restore.hpp"
#include "lib/io/process.hpp"
#include "tests/support/backup_fixture.hpp"

using namespace codops;
using namespace codops::tests;

namespace {

// Of the database itself, without its name.
std::string about(const io::postgres::Target& target) {
  return answer(target, "SELECT concat_ws('; ', datacl::text, datconnlimit, (SELECT string_agg(concat(rolname, ' ', setting), ', ' ORDER BY rolname, setting)"
                        " FROM pg_db_role_setting s CROSS JOIN unnest(setconfig) setting LEFT JOIN pg_roles r ON r.oid = setrole WHERE setdatabase = d.oid))"
                        " FROM pg_database d WHERE datname = current_database()");
}

std::string prices(const io::postgres::Target& target, const std::string& table = "public.prices") {
  return answer(target, "SELECT string_agg(concat(id, ':', price::numeric), ' ' ORDER BY id) FROM " + table);
}

// The usual one of a new row.
std::string usual_price(const io::postgres::Target& target) {
  ask(target, "INSERT INTO public.prices (id) VALUES (99)");
  const auto price = answer(target, "SELECT price::numeric::text FROM public.prices WHERE id = 99");
  ask(target, "DELETE FROM public.prices WHERE id = 99");
  return price;
}

}  // namespace

TEST_CASE("restore: money, and what is set for the database and for roles in it, come back as they were") {
  const io::TemporaryFolder locales;
  std::filesystem::permissions(locales.path(), static_cast<std::filesystem::perms>(0755));
  // A thousand is "1.000,00" there, and "1,000.00" in the server's own.
  io::capture({{"localedef", "-i", "de_DE", "-f", "ISO-8859-1", (locales.path() / "de_DE").string()}, {}, {}}, a_minute());
  PostgresOptions with;
  with.environment = {"LOCPATH=" + locales.path().string()};
  const auto server = PostgresServer::start(with);
  if (server == nullptr) return;
  Shop shop{*server, "CREATE ROLE writer"};
  ask(shop.target(), "ALTER DATABASE " + shop.name + " SET lc_monetary = 'de_DE'");
  ask(shop.target(), "CREATE TABLE prices (id int PRIMARY KEY, price money DEFAULT '1.234,56' CHECK (price > '-9.999.999,00'));"
                     "INSERT INTO prices VALUES (1, '1.234,56'), (2, '-5,50'), (3, '1.000.000,01'), (4, NULL), (5, '2')");
  ask(shop.target(), "ALTER DATABASE " + shop.name + " SET search_path = 'a, \"b', public; ALTER DATABASE " + shop.name + " SET \"app.key\" = 'c4nary; x';"
                     "ALTER ROLE writer IN DATABASE " + shop.name + " SET statement_timeout = '7s'; ALTER ROLE writer IN DATABASE " + shop.name + " SET default_transaction_read_only = on; ALTER ROLE postgres IN DATABASE " + shop.name + " SET work_mem = '5MB';"
                     "REVOKE ALL ON DATABASE " + shop.name + " FROM PUBLIC; GRANT CONNECT ON DATABASE " + shop.name + " TO writer; ALTER DATABASE " + shop.name + " CONNECTION LIMIT 17");
  const auto settings = about(shop.target()), rows = prices(shop.target());
  CHECK(rows == "1:1234.56 2:-5.50 3:1000000.01 4: 5:2.00");
  CHECK(settings.find("writer default_transaction_read_only=on, writer statement_timeout=7s") != std::string::npos);
  Backups backups;
  const auto restore = [&](backup::RestoreRequest request) {
    request.backup = "latest";
    request.safety_backup = false;
    if (!request.tables.empty()) return backup::restore_tables(backups.catalogue, {"test", shop.target(), {}}, request, backups.keys, backups.clock, backups.reporter, a_minute());
    return backup::restore(backups.catalogue, {"test", shop.target(), {}}, request, {}, {}, backups.keys, backups.clock, backups.reporter, a_minute());
  };
  const auto is_whole = [&](const io::postgres::Target& target) {
    CHECK(prices(target) == rows);
    CHECK(usual_price(target) == "1234.56");
    CHECK(about(target) == settings);
  };
  backup::Options options;
  options.dump.archive = false;
  options.dump.plain = true;
  SUBCASE("SQL alone, over the live one") {
    backups.take(shop.target(), options);
    restore({});
    is_whole(shop.target());
  }
  SUBCASE("an archive") {
    options.dump.archive = true;
    options.dump.plain = false;
    options.dump.jobs = 2;
    options.dump.large = 0;
    const auto taken = backups.take(shop.target(), options);
    CHECK(io::read_file(backups.path(taken.manifest.label, "manifest.json")).find("c4nary") == std::string::npos);
    const auto drilled = backup::drill(backups.catalogue, backups.catalogue.find("latest", a_minute()), shop.target("postgres"), false, {}, backups.keys, backups.clock,
                                       backups.reporter, a_minute());
    CHECK(drilled.difference == "");
    ask(shop.target(), "UPDATE prices SET price = '0'");
    restore({});
    is_whole(shop.target());
    // Beside it.
    backup::RestoreRequest request;
    request.into = shop.name + "_copy";
    CHECK(restore(request).notes.empty());
    is_whole(shop.target(request.into));
    // Into a live one that writes it otherwise by now.
    ask(shop.target(), "ALTER DATABASE " + shop.name + " RESET lc_monetary");
    request = {};
    request.tables = {"prices"};
    CHECK(prices(shop.target(), restore(request).schema + ".prices") == rows);
    // The live one is lost.
    ask(shop.target("postgres"), "DROP DATABASE " + shop.name + " WITH (FORCE)");
    CHECK(restore({}).notes.empty());
    is_whole(shop.target());
    // And a role too. What was put aside of the database knows it as well.
    const auto others = ask(shop.target("postgres"), "SELECT datname FROM pg_database WHERE datname LIKE '" + shop.name + "%'");
    for (std::size_t i = 0; i < others.size(); ++i) ask(shop.target("postgres"), fmt::format("DROP DATABASE {} WITH (FORCE)", others.text(i, 0)));
    ask(shop.target("postgres"), "DROP ROLE writer");
    request = {};
    request.load.no_privileges = true;
    const auto without = restore(request);
    REQUIRE(without.notes.size() == 2);
    CHECK(without.notes[0].find("ALTER ROLE writer IN DATABASE") != std::string::npos);
    CHECK(prices(shop.target()) == rows);
    CHECK(answer(shop.target(), "SHOW lc_monetary") == "de_DE");
  }
}

TEST_CASE("restore: a database that is closed to everybody stays so, and a role that may only read stays one, also while writes are refused for a moment") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, "CREATE TABLE t AS SELECT generate_series(1, 10) a; CREATE ROLE closed_reader"};
  ask(shop.target(), "REVOKE ALL ON DATABASE " + shop.name + " FROM PUBLIC; REVOKE ALL ON DATABASE " + shop.name + " FROM postgres;"
                     "ALTER ROLE closed_reader IN DATABASE " + shop.name + " SET default_transaction_read_only = on");
  const auto before = about(shop.target());
  CHECK(before.starts_with("{}; "));
  Backups backups;
  backups.take(shop.target());
  backup::RestoreRequest request;
  request.backup = "latest";
  request.safety_backup = false;
  request.read_only = true;
  const auto restored = backup::restore(backups.catalogue, {"test", shop.target(), {}}, request, {}, {}, backups.keys, backups.clock, backups.reporter, a_minute());
  CHECK(restored.notes.empty());
  CHECK(about(shop.target()) == before);
  request.into = shop.name + "_copy";
  backup::restore(backups.catalogue, {"test", shop.target(), {}}, request, {}, {}, backups.keys, backups.clock, backups.reporter, a_minute());
  CHECK(about(shop.target(request.into)) == before);
}

TEST_CASE("restore: what its role may not set is told before and after, and is no reason to be without the rows; slots stay where they are") {
  PostgresOptions with;
  with.settings = {"wal_level=logical"};
  const auto server = PostgresServer::start(with);
  if (server == nullptr) return;
  Shop shop{*server, "CREATE TABLE t AS SELECT generate_series(1, 10) a"};
  ask(shop.target(), "CREATE ROLE others; CREATE ROLE other_owner LOGIN CREATEDB PASSWORD 'pw'; CREATE ROLE mere_owner LOGIN CREATEDB PASSWORD 'pw'; ALTER DATABASE " + shop.name +
                         " OWNER TO mere_owner; ALTER SCHEMA public OWNER TO mere_owner; ALTER TABLE t OWNER TO mere_owner");
  ask(shop.target(), "ALTER ROLE others IN DATABASE " + shop.name + " SET statement_timeout = '5s'; ALTER DATABASE " + shop.name + " SET log_min_duration_statement = '1s';"
                     "ALTER DATABASE " + shop.name + " SET work_mem = '5MB'");
  ask(shop.target(), "SELECT pg_create_logical_replication_slot('cdc', 'pgoutput')");
  Backups backups;
  backups.take(shop.target());
  auto target = shop.target();
  target.user = "mere_owner";
  target.password = Secret{"pw"};
  backup::RestoreRequest request;
  request.backup = "latest";
  request.safety_backup = false;
  std::string found;
  for (const auto& finding : backup::check_restore(backups.catalogue, {"test", target, {}}, request, backups.keys, a_minute())) {
    CHECK_FALSE(finding.blocks);
    found += finding.message + "\n";
  }
  const auto tells = [](const std::string& text) {
    CAPTURE(text);
    CHECK(text.find("ALTER ROLE \"others\" IN DATABASE \"") != std::string::npos);
    CHECK(text.find("SET \"statement_timeout\": permission denied") != std::string::npos);
    CHECK(text.find("SET \"log_min_duration_statement\": permission denied") != std::string::npos);
    CHECK(text.find("work_mem") == std::string::npos);
    CHECK(text.find("replication slot \"cdc\"") != std::string::npos);
  };
  tells(found);
  const auto restored = backup::restore(backups.catalogue, {"test", target, {}}, request, {}, {}, backups.keys, backups.clock, backups.reporter, a_minute());
  tells(fmt::format("{}", fmt::join(restored.notes, "\n")));
  CHECK(restored.notes.size() == 3);
  CHECK(answer(shop.target(), "SELECT concat((SELECT count(*) FROM t), current_setting('work_mem'), (SELECT database FROM pg_replication_slots))") == "105MB" + restored.aside);
  // Who may not say whose a table is can't restore it so, and is told before.
  ask(shop.target(), "CREATE TABLE foreign_one (a int); ALTER TABLE foreign_one OWNER TO others");
  backups.take(shop.target());
  const auto owned = backup::check_restore(backups.catalogue, {"test", target, {}}, request, backups.keys, a_minute());
  CHECK(std::any_of(owned.begin(), owned.end(), [](const auto& finding) { return finding.blocks && finding.message == "\"public.foreign_one\" belongs to role \"others\" in the backup, of which \"mere_owner\" is no member"; }));
  request.load.no_owner = true;
  for (const auto& finding : backup::check_restore(backups.catalogue, {"test", target, {}}, request, backups.keys, a_minute())) CHECK_FALSE(finding.blocks);
  // Whoever they belong to, a superuser alone makes publications of everything.
  ask(shop.target(), "CREATE TABLE published (a int); CREATE PUBLICATION a_few FOR TABLE published; CREATE PUBLICATION all_of_it FOR ALL TABLES; CREATE FOREIGN DATA WRAPPER far");
  backups.take(shop.target());
  const auto refused = [&] {
    std::string text;
    for (const auto& finding : backup::check_restore(backups.catalogue, {"test", target, {}}, request, backups.keys, a_minute())) {
      if (finding.blocks) text += finding.message + "\n";
    }
    return text;
  }();
  CHECK(refused == "FOREIGN DATA WRAPPER \"far\" of the backup can be made by a superuser only, and role \"mere_owner\" is none\n"
                   "PUBLICATION \"all_of_it\" of the backup can be made by a superuser only, and role \"mere_owner\" is none\n");
  request.load.no_owner = false;
  // Nor may anybody else do it.
  target.user = "other_owner";
  try {
    backup::restore(backups.catalogue, {"test", target, {}}, request, {}, {}, backups.keys, backups.clock, backups.reporter, a_minute());
    FAIL("it was done");
  } catch (const Failure& failure) {
    CHECK(failure.message().find("belongs to role \"mere_owner\", and \"other_owner\" may not rename it") != std::string::npos);
  }
}

TEST_CASE("restore: timeouts of the server end none of codops' own sessions") {
  PostgresOptions with;
  with.settings = {"idle_session_timeout=400ms", "idle_in_transaction_session_timeout=400ms", "statement_timeout=1500ms", "lock_timeout=500ms"};
  const auto server = PostgresServer::start(with);
  if (server == nullptr) return;
  // An index takes longer than any of them, and the sessions beside it idle.
  Shop shop{*server, "CREATE TABLE t AS SELECT 1 a; CREATE TABLE u AS SELECT 1 a; CREATE FUNCTION slow(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(1); RETURN 1; END $$;"
                     "CREATE INDEX ON t (slow(a)); CREATE INDEX ON u (a)"};
  ask(shop.target(), "SET statement_timeout = 0; CREATE INDEX i ON t (slow(a), slow(a + 1), slow(a + 2))");
  Backups backups;
  backups.take(shop.target());
  backup::RestoreRequest request;
  request.backup = "latest";
  request.load.jobs = 2;
  backup::restore(backups.catalogue, {"test", shop.target(), {}}, request, {}, {}, backups.keys, backups.clock, backups.reporter, a_minute());
  CHECK(answer(shop.target(), "SELECT count(*)::text FROM pg_index WHERE indrelid IN ('t'::regclass, 'u'::regclass)") == "3");
  const auto drilled = backup::drill(backups.catalogue, backups.catalogue.find("latest", a_minute()), shop.target("postgres"), false, {}, backups.keys, backups.clock, backups.reporter, a_minute());
  CHECK(drilled.difference == "");
}

TEST_CASE("restore: a column's type is the one that the backup means, wherever the live database looks for types first") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, "CREATE TYPE public.mood AS ENUM ('a', 'b'); CREATE SCHEMA app; CREATE TABLE app.t (i int, m public.mood); INSERT INTO app.t VALUES (1, 'a'), (2, 'b')"};
  ask(shop.target(), "ALTER DATABASE " + shop.name + " SET search_path = 'app'");
  Backups backups;
  backups.take(shop.target());
  backup::RestoreRequest request;
  request.backup = "latest";
  request.tables = {"app.t"};
  const auto restore = [&] { return backup::restore_tables(backups.catalogue, {"test", shop.target(), {}}, request, backups.keys, backups.clock, backups.reporter, a_minute()); };
  CHECK(restore().rows == 2);
  ask(shop.target(), "CREATE TYPE app.mood AS ENUM ('b', 'a')");
  const auto side = restore();
  CHECK(answer(shop.target(), "SELECT udt_schema::text FROM information_schema.columns WHERE table_schema = '" + side.schema + "' AND column_name = 'm'") == "public");
  // The dry run knows of no other table either.
  request.tables = {"app.nope"};
  try {
    backup::check_restore(backups.catalogue, {"test", shop.target(), {}}, request, backups.keys, a_minute());
    FAIL("it was found");
  } catch (const Failure& failure) {
    CHECK(failure.code() == Exit::usage);
    CHECK(failure.message() == "the backup has no table \"app.nope\"");
  }
}
