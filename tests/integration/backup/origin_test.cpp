// Whose backup it is, and what the server must have for it: databases, tablespaces, roles.
#include "lib/backup/restore.hpp"
#include "lib/backup/swap.hpp"
#include "lib/backup/verify.hpp"
#include "tests/support/backup_fixture.hpp"

using namespace codops;
using namespace codops::tests;

namespace {

constexpr auto small = "CREATE TABLE t AS SELECT generate_series(1, 100) AS a";

struct Places : Backups {
  backup::Restored restore(const io::postgres::Target& target, const std::function<void(backup::RestoreRequest&)>& change = {}) {
    backup::RestoreRequest request;
    request.backup = "latest";
    if (change) change(request);
    return backup::restore(catalogue, {"test", target, {}}, request, {}, {}, keys, clock, reporter, a_minute());
  }
  std::string refusal(const io::postgres::Target& target) {
    try {
      restore(target);
    } catch (const Failure& failure) {
      CHECK(failure.code() == Exit::data);
      return failure.message() + " / " + failure.hint();
    }
    return "it was restored";
  }
  backup::Drill drill(const io::postgres::Target& server) {
    return backup::drill(catalogue, catalogue.find("latest", a_minute()), server, false, {}, keys, clock, reporter, a_minute());
  }
  bool has(const std::string& label) {
    const auto all = labels();
    return std::find(all.begin(), all.end(), label) != all.end();
  }
};

std::string databases(const Shop& shop, const std::string& word) {
  return answer(shop.target("postgres"), "SELECT count(*)::text FROM pg_database WHERE datname LIKE '" + shop.name + "\\_" + word + "\\_%'");
}

}  // namespace

TEST_CASE("backup origin: one database's backup takes another's place only if it was said so") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop mine{*server, small}, others{*server, "CREATE TABLE u AS SELECT 1 AS b"};
  Places places;
  places.take(mine.target());
  const auto why = places.refusal(others.target());
  CHECK(why.find("\"" + mine.name + "\" of server ") != std::string::npos);
  CHECK(why.find("--other-database") != std::string::npos);
  CHECK(answer(others.target(), "SELECT count(*)::text FROM u") == "1");
  CHECK(places.labels().size() == 1);  // refused before the safety backup
  const auto findings = backup::check_restore(places.catalogue, {"test", others.target(), {}}, [] { backup::RestoreRequest it; it.backup = "latest"; return it; }(), places.keys, a_minute());
  CHECK(std::any_of(findings.begin(), findings.end(), [](const auto& it) { return it.blocks && it.hint.find("--other-database") != std::string::npos; }));

  CHECK(places.restore(others.target(), [&](auto& request) { request.into = others.name + "_beside"; }).rows == 100);
  CHECK(places.restore(others.target(), [](auto& request) { request.other_database = true; }).database == others.name);
  CHECK(answer(others.target(), "SELECT count(*)::text FROM t") == "100");
}

TEST_CASE("backup origin: after a loss it comes back where there is nothing yet") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop mine{*server, small};
  Places places;
  places.take(mine.target());
  const auto told = [](const backup::Restored& restored) {
    return std::any_of(restored.notes.begin(), restored.notes.end(), [](const auto& note) { return note.find("nothing is replaced") != std::string::npos; });
  };
  SUBCASE("an empty database, as a new server's container makes it") {
    const auto empty = server->create_database("shop");
    CHECK(told(places.restore(server->tcp(empty))));
    CHECK(answer(server->tcp(empty), "SELECT count(*)::text FROM t") == "100");
  }
  SUBCASE("none at all") {
    const auto name = mine.name + "_anew";
    CHECK(told(places.restore(server->tcp(name))));
    CHECK(answer(server->tcp(name), "SELECT count(*)::text FROM t") == "100");
  }
}

TEST_CASE("backup origin: no rule of one database removes another's backups") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop mine{*server, small}, others{*server, small};
  Places places;
  const auto theirs = places.take(others.target()).manifest.label;
  backup::Options options;
  options.prune.emplace();
  options.prune->days = 0;
  options.prune->count = 1;
  const auto first = places.take(mine.target(), options).manifest.label;
  const auto taken = places.take(mine.target(), options);
  CHECK(taken.pruned == std::vector<std::string>{first});
  CHECK(places.has(theirs));
  // Nobody to ask: all stay; the database itself: its own go.
  CHECK(backup::prune(places.catalogue, *options.prune, places.clock.now(), false, a_minute()).removed.empty());
  const auto limits = a_minute();
  const auto pruning = backup::prune(places.catalogue, *options.prune, places.clock.now(), true, limits, backup::origin_of(mine.target(), limits));
  REQUIRE(pruning.verdicts.size() == 2);
  CHECK(pruning.verdicts[0].label == theirs);
  CHECK(pruning.verdicts[0].keep);
  CHECK(pruning.verdicts[0].reasons.front().find(others.name) != std::string::npos);
}

TEST_CASE("backup origin: the database is asked only where its answer can keep something") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop mine{*server, small};
  Places places;
  const auto first = places.take(mine.target()).manifest.label;
  places.take(mine.target());
  const auto limits = a_minute();
  int asked = 0;
  const auto another = [&]() -> std::optional<backup::DatabaseIdentity> {
    ++asked;
    return backup::DatabaseIdentity{.name = "another"};
  };
  backup::Policy policy;
  policy.days = 0;
  policy.count = 2;
  CHECK(backup::prune(places.catalogue, policy, places.clock.now(), true, limits, another).removed.empty());
  CHECK(asked == 0);
  policy.count = 1;
  CHECK(backup::prune(places.catalogue, policy, places.clock.now(), true, limits, another).removed.empty());
  CHECK(asked == 1);
  CHECK(backup::prune(places.catalogue, policy, places.clock.now(), true, limits).removed == std::vector<std::string>{first});
}

TEST_CASE("backup drill: roles and tablespaces that its server lacks are no difference, and are not left there") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, small};
  const auto role = shop.name + "_reader", space = shop.name + "_space";
  ask(shop.target(), "CREATE ROLE " + role + "; GRANT SELECT ON t TO " + role + "; CREATE POLICY p ON t TO " + role + " USING (true);"
                     "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO " + role);
  auto super = io::postgres::Connection::open(shop.target(), a_minute());
  super.run("SET allow_in_place_tablespaces = on", a_minute());
  super.run("CREATE TABLESPACE " + space + " LOCATION ''", a_minute());
  super.run("CREATE TABLE elsewhere TABLESPACE " + space + " AS SELECT generate_series(1, 10) AS b", a_minute());
  Places places;
  backup::Options options;
  SUBCASE("an archive") {}
  SUBCASE("SQL") {
    options.dump.archive = false;
    options.dump.plain = true;
  }
  const auto taken = places.take(shop.target(), options);
  CHECK(taken.manifest.database->tablespaces == std::vector<std::string>{space});
  super.run("ALTER TABLE elsewhere SET TABLESPACE pg_default", a_minute());
  super.run("DROP TABLESPACE " + space, a_minute());
  super.run("DROP POLICY p ON t; DROP OWNED BY " + role + "; DROP ROLE " + role, a_minute());

  CHECK(places.refusal(shop.target()).find("tablespace \"" + space + "\"") != std::string::npos);
  const auto drilled = places.drill(shop.target("postgres"));
  CHECK(drilled.difference == "");
  CHECK(answer(shop.target(), "SELECT count(*)::text FROM pg_roles WHERE rolname = '" + role + "'") == "0");
  CHECK(databases(shop, "drill") == "0");
  ask(shop.target(), "CREATE ROLE " + role);
  places.restore(shop.target(), [](auto& request) { request.load.no_tablespaces = true; });
  CHECK(answer(shop.target(), "SELECT count(*)::text FROM elsewhere") == "10");
}

TEST_CASE("backup drill: what a killed one left on the server goes with the next; a living one's stays") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, small};
  Places places;
  places.take(shop.target());
  const auto dead = backup::side_name(shop.name, "drill", WallTime{Milliseconds{1'700'000'000'000}}), alive = backup::side_name(shop.name, "drill", WallTime{Milliseconds{1'700'000'001'000}});
  auto connection = io::postgres::Connection::open(shop.target("postgres"), a_minute());
  for (const auto& name : {dead, alive}) {
    connection.run("CREATE DATABASE " + name, a_minute());
    backup::mark(connection, name, {shop.name}, a_minute());
  }
  const auto role = shop.name + "_left";
  connection.run("CREATE ROLE " + role + "; COMMENT ON ROLE " + role + " IS 'codops drill: " + dead + "'", a_minute());
  {
    auto living = shop.target(alive);
    living.options["application_name"] = backup::drill_application;
    const auto session = io::postgres::Connection::open(living, a_minute());
    // As pg_restore's that builds an index: it does not notice that nobody waits for it.
    const auto working = io::postgres::Connection::open(shop.target(dead), a_minute());
    CHECK(places.drill(shop.target("postgres")).difference == "");
    CHECK_FALSE(backup::database_exists(connection, dead, a_minute()));
    CHECK(backup::database_exists(connection, alive, a_minute()));
    CHECK(answer(shop.target(), "SELECT count(*)::text FROM pg_roles WHERE rolname = '" + role + "'") == "0");
  }
  connection.run("DROP DATABASE " + alive + " WITH (FORCE)", a_minute());
}
