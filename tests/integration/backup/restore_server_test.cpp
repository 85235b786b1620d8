// Restores beside what else is on a server: a restart in their midst, subscriptions, prepared transactions, other locales.
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <thread>

#include "lib/backup/rescue.hpp"
#include "lib/backup/restore.hpp"
#include "lib/backup/snapshot.hpp"
#include "lib/backup/swap.hpp"
#include "tests/support/backup_fixture.hpp"
#include "tests/support/forwarding_store.hpp"

using namespace codops;
using namespace codops::tests;
namespace fs = std::filesystem;

namespace {

struct Telling final : Reporter {
  void report(const Event& event) override {
    if (event.kind == Event::Kind::warning) warnings += event.text + "\n";
  }
  std::string warnings;
};

struct Restoring : Backups {
  explicit Restoring(Shop& from) : shop{from}, subject{"test", from.target(), {}} {}

  backup::Restored restore(backup::RestoreRequest request = {}, const backup::RestoreHooks& hooks = {}) {
    if (request.backup.empty()) request.backup = "latest";
    request.safety_backup = false;
    return backup::restore(catalogue, subject, request, {}, hooks, keys, clock, told, a_minute());
  }
  backup::Restored undo(const std::string& stamp = {}) { return backup::undo_restore(subject, stamp, {}, clock, told, a_minute()); }
  std::string databases(const std::string& from = "postgres") {
    return answer(shop.target(from), "SELECT string_agg(datname, ',' ORDER BY datname) FROM pg_database WHERE datname LIKE '" + shop.name + "%'");
  }
  Shop& shop;
  backup::Subject subject;
  Telling told;
};

Failure failure_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Failure& failure) {
    return failure;
  }
  FAIL("it did not fail");
  return {Exit::ok, ""};
}

bool says(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// Each row takes a twentieth of a second to load.
constexpr const char* slow_sql =
    "CREATE FUNCTION slow(i int) RETURNS boolean LANGUAGE sql AS 'SELECT true FROM pg_sleep(0.05)';"
    "CREATE TABLE t (i int CHECK (slow(i))); INSERT INTO t SELECT generate_series(1, 60)";

}  // namespace

TEST_CASE("restore: its loading backend is killed, the server recovers, and the live database takes writes as before") {
  auto server = PostgresServer::start();
  if (server == nullptr) return;
  Shop shop{*server, slow_sql};
  Restoring it{shop};
  it.take(shop.target());
  std::atomic<bool> killed{false};
  std::jthread killer{[&](const std::stop_token& stop) {
    auto watching = io::postgres::Connection::open(server->tcp(), a_minute());
    while (!stop.stop_requested() && !killed) {
      const auto loading = watching.query("SELECT pid FROM pg_stat_activity WHERE datname ~ '_new_' AND query ~ '^COPY' AND state = 'active'", a_minute());
      if (loading.empty()) continue;
      ::kill(static_cast<pid_t>(loading.number(0, 0)), SIGKILL);
      killed = true;
    }
  }};
  backup::RestoreRequest request;
  request.read_only = true;
  const auto failure = failure_of([&] { it.restore(request); });
  killer.request_stop();
  killer.join();
  REQUIRE(killed.load());
  CHECK(failure.code() == Exit::unavailable);
  CHECK(it.told.warnings.empty());
  CHECK(answer(shop.target(), "SHOW default_transaction_read_only") == "off");
  CHECK(it.databases() == shop.name);
  ask(shop.target(), "DELETE FROM t WHERE i = 1");
}

TEST_CASE("restore: what can't be put right after a failure is waited for, then told with what to type") {
  auto server = PostgresServer::start();
  if (server == nullptr) return;
  Telling told;
  const auto target = server->tcp();
  server->stop();
  std::atomic<int> done{0};
  const auto work = [&](io::postgres::Connection& connection, const Limits& limits) {
    connection.query("SELECT", limits);
    ++done;
  };
  backup::Rescue short_one{target, told, Milliseconds{300}};
  CHECK_FALSE(short_one.attempt("\"shop\" still refuses writes", "ALTER DATABASE shop RESET x", work));
  CHECK(says(told.warnings, "\"shop\" still refuses writes: can't connect to"));
  CHECK(says(told.warnings, "once the server answers: ALTER DATABASE shop RESET x"));
  backup::Rescue patient{target, told};
  bool right = false;
  std::jthread waiting{[&] { right = patient.attempt("state", "type", work); }};
  server->resume();
  waiting.join();
  CHECK(right);
  CHECK(done == 1);
}

TEST_CASE("restore: subscriptions don't keep what failed, and who still receives the rows is told") {
  auto server = PostgresServer::start({false, {"wal_level=logical", "max_prepared_transactions=5"}});
  if (server == nullptr) return;
  Shop shop{*server, "CREATE TABLE t AS SELECT generate_series(1, 100) i"};
  Restoring it{shop};
  ask(shop.target(), "CREATE SUBSCRIPTION \"the sub\" CONNECTION 'host=127.0.0.1 port=1 dbname=none' PUBLICATION p WITH (connect = false, slot_name = 'theirs')");
  ask(shop.target(), "ALTER SUBSCRIPTION \"the sub\" ENABLE");
  it.take(shop.target());
  const auto failure = failure_of([&] { it.restore({}, {{}, {}, [](const io::postgres::Target&, const Limits&) -> std::string { throw Failure{Exit::failed, "no migration"}; }, {}}); });
  CHECK(failure.message() == "no migration");
  CHECK(it.told.warnings.empty());
  CHECK(it.databases() == shop.name);
  CHECK(answer(shop.target("postgres"), "SELECT count(*) || ' ' || bool_and(subenabled) FROM pg_subscription") == "1 true");

  const auto findings = backup::check_restore(it.catalogue, it.subject, [] { backup::RestoreRequest request; request.backup = "latest"; return request; }(), it.keys, a_minute());
  CHECK(std::any_of(findings.begin(), findings.end(), [](const auto& finding) { return !finding.blocks && says(finding.message, "subscription \"the sub\""); }));
  const auto restored = it.restore();
  REQUIRE(restored.notes.size() == 1);
  CHECK(says(restored.notes.front(), "in \"" + restored.aside + "\": ALTER SUBSCRIPTION \"the sub\" DISABLE"));
  // As it says, in its order.
  ask(shop.target(restored.aside), "ALTER SUBSCRIPTION \"the sub\" DISABLE");
  ask(shop.target(restored.aside), "ALTER SUBSCRIPTION \"the sub\" SET (slot_name = NONE)");
  ask(shop.target(), "ALTER SUBSCRIPTION \"the sub\" ENABLE");

  // A transaction that is prepared has no session that could be ended.
  ask(shop.target(), "ALTER SUBSCRIPTION \"the sub\" DISABLE");
  auto session = io::postgres::Connection::open(shop.target(), a_minute());
  session.run("BEGIN; INSERT INTO t VALUES (0); PREPARE TRANSACTION 'it''s open'", a_minute());
  const auto labels = it.labels(), names = std::vector{it.databases()};
  for (const auto& attempt : std::initializer_list<std::function<void()>>{[&] { it.restore(); }, [&] { it.undo(); }}) {
    const auto refused = failure_of(attempt);
    CHECK(refused.code() == Exit::data);
    CHECK(says(refused.message(), "prepared transaction 'it''s open' of postgres"));
    CHECK(says(refused.hint(), "ROLLBACK PREPARED 'it''s open'"));
  }
  CHECK(it.labels() == labels);
  CHECK(std::vector{it.databases()} == names);
  backup::RestoreRequest plan;
  plan.backup = "latest";
  const auto planned = backup::check_restore(it.catalogue, it.subject, plan, it.keys, a_minute());
  CHECK(std::any_of(planned.begin(), planned.end(), [](const auto& finding) { return finding.blocks && says(finding.message, "prepared transaction"); }));
  // Prepared between the check and the swap: PostgreSQL's own detail tells what is in the way.
  auto beside = io::postgres::Connection::open(shop.target("postgres"), a_minute());
  ask(shop.target("postgres"), "CREATE DATABASE other");
  const auto in_the_way = failure_of([&] { backup::swap_databases(beside, {shop.name, "other", shop.name + "_aside", "", false}, a_minute()); });
  CHECK(says(in_the_way.message(), "prepared transaction"));
  ask(shop.target(), "ROLLBACK PREPARED 'it''s open'");
  CHECK(it.undo().database == shop.name);
}

TEST_CASE("restore: locale, tablespace and template are as before, and a server without a database \"postgres\" will do") {
  auto server = PostgresServer::start();
  if (server == nullptr) return;
  const auto place = server->folder() + "/space";
  fs::create_directory(place);
  struct stat owner {};
  REQUIRE(::stat((server->folder() + "/data").c_str(), &owner) == 0);
  REQUIRE(::chown(place.c_str(), owner.st_uid, owner.st_gid) == 0);
  ask(server->tcp(), "CREATE TABLESPACE space LOCATION '" + place + "'");
  Shop shop{*server, "SELECT 1"};
  ask(server->tcp(), "DROP DATABASE " + shop.name);
  ask(server->tcp(), "CREATE DATABASE " + shop.name + " TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de-DE-u-co-phonebk' TABLESPACE space IS_TEMPLATE true");
  ask(shop.target(), "CREATE TABLE t AS SELECT generate_series(1, 100) i");
  const auto shape = [&](const std::string& name, const io::postgres::Target& at) {
    return answer(at, "SELECT concat_ws(' ', datlocprovider, to_json(d)->>'daticulocale', to_json(d)->>'datlocale', spcname, datistemplate) FROM pg_database d JOIN pg_tablespace s ON s.oid = dattablespace WHERE datname = '" + name + "'");
  };
  const auto wanted = shape(shop.name, server->tcp());
  REQUIRE(says(wanted, "i de-DE-u-co-phonebk space t"));
  Restoring it{shop};
  const auto taken = it.take(shop.target());
  CHECK(taken.manifest.database->locale.provider == "icu");
  CHECK(backup::parse_manifest(backup::to_json(taken.manifest)) == taken.manifest);
  const auto restored = it.restore();
  CHECK(shape(shop.name, server->tcp()) == wanted);
  CHECK(shape(restored.aside, server->tcp()) == wanted);
  backup::RestoreRequest request;
  request.into = shop.name + "_copy";
  it.restore(request);
  CHECK(says(shape(request.into, server->tcp()), "i de-DE-u-co-phonebk space f"));

  // Where that tablespace is not.
  if (auto* other = PostgresServer::shared()) {
    it.subject.database = other->tcp(other->create_database("elsewhere"));
    request.into = it.subject.database.database + "_copy";
    const auto there = it.restore(request);
    CHECK(says(shape(request.into, other->tcp()), "i de-DE-u-co-phonebk pg_default f"));
    CHECK(std::any_of(there.notes.begin(), there.notes.end(), [](const auto& note) { return says(note, "no tablespace \"space\""); }));
    ask(other->tcp(), "DROP DATABASE " + request.into);
    it.subject.database = shop.target();
  }

  ask(server->tcp("template1"), "DROP DATABASE postgres");
  it.take(shop.target());
  it.restore();
  CHECK(answer(shop.target(), "SELECT count(*)::text FROM t") == "100");
  it.undo();
  CHECK(it.databases("template1").find(shop.name + "_undone_") != std::string::npos);
}

TEST_CASE("restore: an undo that is asked for once more does not go further back unless told to") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, "CREATE TABLE t AS SELECT 1 AS i"};
  Restoring it{shop};
  it.take(shop.target());
  const auto state = [&] { return answer(shop.target(), "SELECT sum(i)::text FROM t"); };
  ask(shop.target(), "UPDATE t SET i = 2");
  const auto first = it.restore();
  ask(shop.target(), "UPDATE t SET i = 3");
  it.restore();
  CHECK(state() == "1");
  it.undo();
  CHECK(state() == "3");
  const auto stamp = backup::stamp_in(first.aside);
  for (int i = 0; i < 2; ++i) {
    const auto refused = failure_of([&] { it.undo(); });
    CHECK(refused.code() == Exit::usage);
    CHECK(says(refused.message(), backup::stamp_text(stamp)));
    CHECK(says(refused.hint(), "codops restore test " + stamp + " --undo"));
    CHECK(state() == "3");
  }
  CHECK(failure_of([&] { it.undo("20200101_000000_000"); }).code() == Exit::usage);
  it.undo(stamp);
  CHECK(state() == "2");
  // A restore of later can be undone by its own.
  it.restore();
  CHECK(state() == "1");
  it.undo();
  CHECK(state() == "2");
}

TEST_CASE("restore: an undo is of the last restore, or of none: what it put aside, or its undo, may have been dropped") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, "CREATE TABLE t AS SELECT 1 AS i"};
  Restoring it{shop};
  ask(shop.target("postgres"), "COMMENT ON DATABASE " + shop.name + " IS 'theirs'");
  const auto comment = [&] { return answer(shop.target("postgres"), "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = '" + shop.name + "'"); };
  const auto state = [&] { return answer(shop.target(), "SELECT sum(i)::text FROM t"); };
  it.take(shop.target());
  ask(shop.target(), "UPDATE t SET i = 2");
  const auto first = backup::stamp_in(it.restore().aside);
  ask(shop.target(), "UPDATE t SET i = 3");
  const auto refused = [&](const std::string& why) {
    for (int i = 0; i < 2; ++i) {
      const auto failure = failure_of([&] { it.undo(); });
      CAPTURE(failure.message());
      CHECK(failure.code() == Exit::usage);
      CHECK(says(failure.message(), why));
      CHECK(says(failure.hint(), "codops restore test " + first + " --undo"));
    }
  };
  SUBCASE("what it put aside") {
    const auto second = it.restore().aside;
    ask(shop.target(), "UPDATE t SET i = 4");
    ask(shop.target("postgres"), "DROP DATABASE " + second);
    refused("that of " + backup::stamp_text(backup::stamp_in(second)) + ", replaced is gone");
    CHECK(state() == "4");
  }
  SUBCASE("what its undo put aside") {
    it.restore();
    const auto undone = it.undo();
    CHECK(state() == "3");
    ask(shop.target("postgres"), "DROP DATABASE " + undone.aside);
    refused("is undone already, since");
    CHECK(state() == "3");
  }
  SUBCASE("one that did not come to its end is none") {
    CHECK(failure_of([&] { it.restore({}, {{}, {}, [](const io::postgres::Target&, const Limits&) -> std::string { throw Failure{Exit::data, "no"}; }, {}}); }).code() == Exit::data);
    it.undo();
    CHECK(state() == "2");
    CHECK(comment() == "theirs");
    return;
  }
  CHECK(comment() == "theirs");
  it.undo(first);
  CHECK(state() == "2");
  CHECK(comment() == "theirs");
}

TEST_CASE("restore: what a client writes past read_only is told before the swap and after it") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, "CREATE TABLE t AS SELECT 1 AS i; CREATE TABLE u AS SELECT 1 AS i"};
  Restoring it{shop};
  it.take(shop.target());
  backup::RestoreRequest request;
  request.read_only = true;
  std::string sql;
  const auto meanwhile = [&](const io::postgres::Target&, const Limits&) -> std::string {
    ask(shop.target(), sql);
    // Its session has ended; what it counted is there in a moment.
    std::this_thread::sleep_for(Milliseconds{500});
    return {};
  };
  // What was written before is in no way of read_only's.
  auto client = io::postgres::Connection::open(shop.target(), a_minute());
  client.run("INSERT INTO t SELECT generate_series(1, 100)", a_minute());
  sql = "SELECT count(*) FROM t";
  const auto quiet = it.restore(request, {{}, {}, meanwhile, {}});
  CHECK(quiet.notes.empty());
  CHECK_FALSE(says(it.told.warnings, "writes to it"));
  sql = "BEGIN READ WRITE; INSERT INTO t SELECT generate_series(1, 46); UPDATE u SET i = 2; COMMIT";
  const auto restored = it.restore(request, {{}, {}, meanwhile, {}});
  CAPTURE(it.told.warnings);
  CHECK(says(it.told.warnings, "somebody writes to it all the same: 46 rows of public.t, 1 of public.u; that will only be in \"" + restored.aside + "\""));
  REQUIRE(restored.notes.size() == 1);
  CHECK(says(restored.notes.front(), "wrote 46 rows of public.t, 1 of public.u: that is only in \"" + restored.aside + "\""));
  CHECK(answer(shop.target(restored.aside), "SELECT count(*)::text FROM t") == "47");
}

TEST_CASE("restore: tables that can't lie side by side, and types that are gone, are told") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, "CREATE SCHEMA a; CREATE SCHEMA b; CREATE TABLE a.t AS SELECT 1 AS i; CREATE TABLE b.t AS SELECT 2 AS i;"
                     "CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE TABLE moods AS SELECT 'good'::mood AS m; CREATE DOMAIN b.d AS int; CREATE TABLE inside AS SELECT 1::b.d AS i"};
  Restoring it{shop};
  it.take(shop.target());
  const auto restore = [&](std::vector<std::string> tables) {
    backup::RestoreRequest request;
    request.backup = "latest";
    request.tables = std::move(tables);
    return backup::restore_tables(it.catalogue, it.subject, request, it.keys, it.clock, it.told, a_minute());
  };
  const auto both = failure_of([&] { restore({"a.t", "b.t"}); });
  CHECK(both.code() == Exit::usage);
  CHECK(says(both.message(), "a.t and b.t would both be \"t\""));
  CHECK(restore({"a.t", "a.t"}).rows == 1);
  ask(shop.target(), "DROP TABLE moods, inside; DROP TYPE mood; DROP SCHEMA b CASCADE");
  const auto type = failure_of([&] { restore({"moods"}); });
  CHECK(type.code() == Exit::data);
  CHECK(says(type.message(), "\"" + shop.name + "\" no longer has: type \"public.mood\" does not exist"));
  CHECK(says(failure_of([&] { restore({"inside"}); }).message(), "no longer has: schema \"b\" does not exist"));
  CHECK(answer(shop.target(), "SELECT count(*)::text FROM pg_namespace WHERE nspname LIKE 'restoring%'") == "0");
  CHECK(it.databases() == shop.name);
}

TEST_CASE("restore: a standby is refused before anything, a dry run included") {
  auto server = PostgresServer::start();
  if (server == nullptr) return;
  Shop shop{*server, "CREATE TABLE t AS SELECT 1 AS i"};
  Restoring it{shop};
  ask(shop.target(), "CREATE UNLOGGED TABLE fleeting AS SELECT 1 AS i");
  it.take(shop.target());
  server->stop();
  io::write_file(server->folder() + "/data/standby.signal", "", 0644);
  server->resume();
  backup::take(it.catalogue, it.subject, {}, it.keys, it.clock, it.told, a_minute());
  CHECK(says(it.told.warnings, "1 of them, \"public.fleeting\" for one, are in the backup without any"));
  backup::RestoreRequest request;
  request.backup = "latest";
  const auto planned = failure_of([&] { backup::check_restore(it.catalogue, it.subject, request, it.keys, a_minute()); });
  CHECK(planned.code() == Exit::usage);
  CHECK(says(planned.message(), "is a standby"));
  CHECK(says(failure_of([&] { it.restore(); }).message(), "is a standby"));
}

TEST_CASE("backup: cut off by a restore's swap it says so") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, "CREATE TABLE t AS SELECT 1 AS i"};
  // As a swap does it, at the moment when pg_dump is about to look at the snapshot.
  class Swapping final : public ForwardingStore {
   public:
    Swapping(store::Store& real, Shop& shop) : ForwardingStore{real}, shop_{shop} {}
    std::unique_ptr<store::Upload> create(const std::string& name, const Limits& limits, store::Retain retain) override {
      if (name.find("database.dump") != std::string::npos) {
        auto beside = io::postgres::Connection::open(shop_.target("postgres"), limits);
        backup::end_sessions(beside, shop_.name, limits);
      }
      return real_.create(name, limits, retain);
    }

   private:
    Shop& shop_;
  };
  Restoring it{shop};
  Swapping swapping{it.store, shop};
  backup::Catalogue catalogue{swapping, "shop/test"};
  const auto failure = failure_of([&] { backup::take(catalogue, it.subject, {}, it.keys, it.clock, it.told, a_minute()); });
  CHECK(says(failure.message(), "the session that holds the backup's moment was ended, by a restore that swapped \"" + shop.name + "\""));
  CHECK(says(failure.hint(), "codops backup test"));
}
