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
                     "ALTER ROLE writer IN DATABASE " + shop.name + " SET statement_timeout = '7s'; ALTER ROLE postgres IN DATABASE " + shop.name + " SET work_mem = '5MB';"
                     "REVOKE ALL ON DATABASE " + shop.name + " FROM PUBLIC; GRANT CONNECT ON DATABASE " + shop.name + " TO writer; ALTER DATABASE " + shop.name + " CONNECTION LIMIT 17");
  const auto settings = about(shop.target()), rows = prices(shop.target());
  CHECK(rows == "1:1234.56 2:-5.50 3:1000000.01 4: 5:2.00");
  CHECK(settings.find("writer statement_timeout=7s") != std::string::npos);
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
    REQUIRE(without.notes.size() == 1);
    CHECK(without.notes[0].find("ALTER ROLE writer IN DATABASE") != std::string::npos);
    CHECK(prices(shop.target()) == rows);
    CHECK(answer(shop.target(), "SHOW lc_monetary") == "de_DE");
  }
}
