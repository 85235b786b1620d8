#include "lib/backup/restore_steps.hpp"
#include "lib/backup/verify.hpp"
#include "tests/support/restore_fixture.hpp"

using namespace codops;
using namespace codops::tests;
namespace fs = std::filesystem;

TEST_CASE("restore: what comes back is what was there, swapped in, and out again") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server};
  ask(shop.target(), "ALTER DATABASE " + shop.name + " SET search_path TO public, \"odd schema\"; ALTER DATABASE " + shop.name +
                         " SET work_mem TO '5MB'; GRANT CREATE ON DATABASE " + shop.name + " TO pg_monitor; REVOKE CONNECT ON DATABASE " + shop.name + " FROM PUBLIC");
  Restoring it{shop};
  const auto identity = io::age::new_identity();
  it.keys.recipients = {identity.recipient()};
  it.keys.identities.identities = {identity};
  it.keys.signing = io::new_signing_key();
  backup::Options options;
  SUBCASE("one stream") {}
  SUBCASE("two workers") {
    options.dump.jobs = 2;
    options.dump.large = 8192;
  }
  const auto taken = it.take(shop.target(), options);
  const auto before = fingerprint(shop.target());
  ask(shop.target(), "DROP TABLE one_column; DELETE FROM orders WHERE id % 2 = 0; CREATE TABLE later (x int)");

  // An application that stays connected and comes back at once.
  auto session = io::postgres::Connection::open(shop.target(), a_minute());
  session.run("BEGIN; SELECT count(*) FROM orders", a_minute());
  std::vector<std::string> hooks;
  backup::RestoreRequest request;
  request.backup = taken.manifest.label;
  request.load.jobs = options.dump.jobs;
  const auto restored = it.restore(request, {[&](const Limits&) { hooks.emplace_back("stop"); },
                                             [&](const Limits&) { hooks.emplace_back("start"); }, {}});
  CHECK(hooks == std::vector<std::string>{"stop", "start"});
  CHECK(restored.rows == taken.manifest.rows());
  CHECK(restored.downtime < Milliseconds{5000});
  CHECK((fingerprint(shop.target()) == before));
  CHECK(answer(shop.target(), "SHOW work_mem") == "5MB");
  CHECK(answer(shop.target(), "SHOW search_path") == "public, \"odd schema\"");
  CHECK(answer(shop.target("postgres"), "SELECT has_database_privilege('pg_monitor', '" + shop.name + "', 'CREATE')") == "t");
  CHECK(answer(shop.target("postgres"), "SELECT has_database_privilege('pg_signal_backend', '" + shop.name + "', 'CONNECT')") == "f");
  CHECK_FALSE(restored.safety_backup.empty());
  CHECK(it.catalogue.find("before restore of " + taken.manifest.label, Limits{}).manifest.label == restored.safety_backup);
  CHECK(it.databases() == shop.name + "," + restored.aside);

  const auto undone = backup::undo_restore({"test", shop.target(), {}}, {}, {}, it.clock, it.reporter, a_minute());
  CHECK(answer(shop.target(), "SELECT count(*)::text FROM orders") == "30000");
  CHECK(answer(shop.target(), "SELECT count(*)::text FROM later") == "0");
  CHECK(it.databases() == shop.name + "," + undone.aside);
  CHECK(code_of([&] { backup::undo_restore({"test", shop.target(), {}}, {}, {}, it.clock, it.reporter, a_minute()); }) == Exit::usage);
}

TEST_CASE("restore: an undo after somebody has dropped what was restored brings the old one back") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, "CREATE TABLE t AS SELECT generate_series(1, 10) AS a"};
  Restoring it{shop};
  it.take(shop.target());
  ask(shop.target(), "DELETE FROM t WHERE a > 3");
  it.restore({});
  ask(shop.target("postgres"), "DROP DATABASE " + shop.name + " WITH (FORCE)");
  const auto undone = backup::undo_restore({"test", shop.target(), {}}, {}, {}, it.clock, it.reporter, a_minute());
  CHECK(undone.aside.empty());
  CHECK(answer(shop.target(), "SELECT count(*)::text FROM t") == "3");
  CHECK(it.databases() == shop.name);
}

TEST_CASE("restore: an empty search_path and odd ones survive the swap") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  for (const auto* path : {"''", "'', public", "'a, \"b\"', public"}) {
    CAPTURE(path);
    Shop shop{*server, "CREATE TABLE t AS SELECT 1 AS a"};
    ask(shop.target(), "ALTER DATABASE " + shop.name + " SET search_path = " + path);
    const auto before = answer(shop.target(), "SHOW search_path");
    Restoring it{shop};
    it.take(shop.target());
    it.restore({});
    CHECK(answer(shop.target(), "SHOW search_path") == before);
  }
}

TEST_CASE("restore: latest is never what a restore kept of the accident") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, "CREATE TABLE t AS SELECT generate_series(1, 100) AS a"};
  Restoring it{shop};
  const auto good = it.take(shop.target()).manifest.label;
  ask(shop.target(), "DELETE FROM t WHERE a > 10");
  // One that dies after its safety backup.
  CHECK(code_of([&] { it.restore({}, {{}, {}, [](const io::postgres::Target&, const Limits&) -> std::string { throw Failure{Exit::failed, "died"}; }}); }) == Exit::failed);
  REQUIRE(it.labels().size() == 2);
  CHECK(it.catalogue.find(it.labels().back(), a_minute()).manifest.safety);
  const auto latest = it.catalogue.find("latest", a_minute());
  CHECK(latest.manifest.label == good);
  CHECK(latest.passed_over.empty());
  CHECK(it.restore({}).source == good);
  CHECK(answer(shop.target(), "SELECT count(*)::text FROM t") == "100");
  backup::Policy policy;
  policy.days = 0;
  policy.count = 1;
  backup::prune(it.catalogue, policy, it.clock.now(), false, a_minute());
  const auto left = it.labels();
  CHECK(std::find(left.begin(), left.end(), good) != left.end());
}

TEST_CASE("restore: into another database the live one is not looked at") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server};
  Restoring it{shop};
  it.take(shop.target());
  backup::RestoreRequest request;
  request.into = shop.name + "_copy";
  const auto restored = it.restore(request);
  CHECK(restored.safety_backup.empty());
  CHECK(fingerprint(shop.target(request.into)).substr(0, 2000) == fingerprint(shop.target()).substr(0, 2000));
  CHECK(code_of([&] { it.restore(request); }) == Exit::usage);
  CHECK(it.databases() == shop.name + "," + request.into);
}

TEST_CASE("restore: any change of what is stored is found before a database is made") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, "CREATE TABLE t AS SELECT i, md5(i::text) FROM generate_series(1, 20000) i"};
  Restoring it{shop};
  const auto identity = io::age::new_identity();
  it.keys.recipients = {identity.recipient()};
  it.keys.identities.identities = {identity};
  const auto label = it.take(shop.target()).manifest.label;
  const auto file = it.path(label, "database.dump.zst.age");
  const auto whole = io::read_file(file);
  backup::RestoreRequest request;
  request.backup = label;
  const auto refused = [&] {
    const auto code = code_of([&] { it.restore(request); });
    CHECK(it.databases() == shop.name);
    CHECK(answer(shop.target(), "SELECT count(*)::text FROM t") == "20000");
    CHECK(it.labels().size() == 1);  // not even the safety backup was taken
    return code;
  };
  for (const std::size_t at : {std::size_t{0}, std::size_t{30}, std::size_t{200}, whole.size() / 2, whole.size() - 1}) {
    CAPTURE(at);
    flip(file, at);
    CHECK(refused() == Exit::data);
    const auto entry = it.catalogue.find(label, Limits{});
    backup::Progress progress{it.reporter, it.clock, "verify", 0};
    CHECK_FALSE(backup::verify(it.catalogue, entry, it.keys, it.clock.now(), progress, a_minute()).whole);
    flip(file, at);
  }
  for (const std::size_t size : {std::size_t{0}, std::size_t{100}, whole.size() - 1}) {
    io::write_file(file, whole.substr(0, size));
    CHECK(refused() == Exit::data);
  }
  fs::remove(file);
  CHECK(refused() == Exit::data);
  request.backup = "latest";  // passes by what a verification found damaged
  CHECK(refused() == Exit::data);
  request.backup = label;
  // Another backup's file in its place.
  io::write_file(file, whole);
  backup::Progress progress{it.reporter, it.clock, "verify", 0};
  const auto verified = backup::verify(it.catalogue, it.catalogue.find(label, Limits{}), it.keys, it.clock.now(), progress, a_minute());
  CHECK(verified.whole);
  CHECK(verified.rows == 20000);
  const auto second = it.take(shop.target()).manifest.label;
  fs::copy_file(it.path(second, "database.dump.zst.age"), file, fs::copy_options::overwrite_existing);
  CHECK(code_of([&] { it.restore(request); }) == Exit::data);
  // A stranger's key, and none at all.
  request.backup = second;
  it.keys.identities.identities = {io::age::new_identity()};
  CHECK(code_of([&] { it.restore(request); }) == Exit::config);
  it.keys.identities.identities.clear();
  CHECK(code_of([&] { it.restore(request); }) == Exit::config);
  CHECK(it.databases() == shop.name);
}

TEST_CASE("restore: what fails half way leaves the live database serving and nothing behind") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, "CREATE TABLE t AS SELECT generate_series(1, 1000) i"};
  Restoring it{shop};
  auto label = it.take(shop.target()).manifest.label;
  backup::RestoreRequest request;
  request.backup = label;
  request.safety_backup = false;
  // After the restore, in the migration.
  CHECK(code_of([&] {
          it.restore(request, {{}, {}, [](const io::postgres::Target&, const Limits&) -> std::string { throw Failure{Exit::data, "step 3 failed"}; }, {}});
        }) == Exit::data);
  CHECK(it.databases() == shop.name);
  // The application does not stop; it is started again all the same.
  int started = 0;
  CHECK(code_of([&] {
          it.restore(request, {[](const Limits&) { throw Failure{Exit::unavailable, "no engine"}; }, [&](const Limits&) { ++started; }, {}});
        }) == Exit::unavailable);
  CHECK(it.databases() == shop.name);
  // The manifest says other rows than the archive has: found while loading.
  auto manifest = it.catalogue.find(label, Limits{}).manifest;
  manifest.tables[0].digest[0] = manifest.tables[0].digest[0] == '0' ? '1' : '0';
  it.store.put(it.catalogue.object(manifest.label, "manifest.json"), backup::to_json(manifest), Limits{});
  CHECK(code_of([&] { it.restore(request); }) == Exit::data);
  CHECK(it.databases() == shop.name);
  CHECK(answer(shop.target(), "SELECT count(*)::text FROM t") == "1000");
  // Roles and extensions that the server lacks are named before anything happens.
  manifest.database->roles.emplace_back("nobody_here");
  manifest.database->extensions.emplace_back("no_such_extension 1.0");
  it.store.put(it.catalogue.object(manifest.label, "manifest.json"), backup::to_json(manifest), Limits{});
  CHECK(code_of([&] { it.restore(request); }) == Exit::data);
  const auto findings = backup::check_restore(it.catalogue, {"test", shop.target(), {}}, request, it.keys, a_minute());
  CHECK(std::count_if(findings.begin(), findings.end(), [](const auto& finding) { return finding.blocks; }) == 2);
  CHECK(it.databases() == shop.name);
}

TEST_CASE("drill: a restore into a scratch database is compared with the manifest, timed, recorded and gone") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server};
  Restoring it{shop};
  const auto label = it.take(shop.target()).manifest.label;
  const auto names = it.databases();
  const auto result = backup::drill(it.catalogue, it.catalogue.find(label, Limits{}), server->tcp(), false, {}, it.keys, it.clock, it.reporter, a_minute());
  CHECK(result.same);
  CHECK(result.took > Milliseconds{0});
  CHECK(it.databases() == names);
  const auto entry = it.catalogue.find("latest", Limits{});
  CHECK(entry.marks.drilled);
  CHECK(entry.marks.drill_took == result.took);
  flip(it.path(label, "database.dump.zst"), 5000);
  const auto damaged = backup::drill(it.catalogue, entry, server->tcp(), false, {}, it.keys, it.clock, it.reporter, a_minute());
  CHECK_FALSE(damaged.same);
  CHECK_FALSE(it.catalogue.find(label, Limits{}).sound());
  CHECK(it.databases() == names);
}

TEST_CASE("restore: SQL alone comes back too, its rows counted and hashed like an archive's") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server};
  Restoring it{shop};
  const auto before = fingerprint(shop.target());
  backup::Options options;
  options.dump.archive = false;
  options.dump.plain = true;
  const auto plain = it.take(shop.target(), options);
  CHECK(plain.manifest.find("archive") == nullptr);
  options.dump.archive = true;
  const auto both = it.take(shop.target(), options);
  CHECK(plain.manifest.tables == both.manifest.tables);
  CHECK(content_of(plain.manifest, "public.orders")->rows == 60000);
  ask(shop.target(), "DROP TABLE orders CASCADE");
  backup::RestoreRequest request;
  request.backup = plain.manifest.label;
  it.restore(request);
  CHECK((fingerprint(shop.target()) == before));
  const auto result = backup::drill(it.catalogue, it.catalogue.find(plain.manifest.label, Limits{}), server->tcp(), true, {}, it.keys, it.clock, it.reporter, a_minute());
  CHECK(result.same);
}

TEST_CASE("restore: meanwhile the live database takes no writes, and is writable again whatever happens") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, "CREATE TABLE t AS SELECT generate_series(1, 1000) i"};
  Restoring it{shop};
  backup::RestoreRequest request;
  request.backup = it.take(shop.target()).manifest.label;
  request.safety_backup = false;
  request.read_only = true;
  std::string during;
  const auto look = [&](const io::postgres::Target&, const Limits&) -> std::string {
    during = answer(shop.target(), "SHOW default_transaction_read_only");
    return {};
  };
  const auto restored = it.restore(request, {{}, {}, look, {}});
  CHECK(during == "on");
  CHECK(restored.downtime > Milliseconds{0});
  CHECK(answer(shop.target(), "SHOW default_transaction_read_only") == "off");
  CHECK(answer(shop.target(restored.aside), "SHOW default_transaction_read_only") == "off");
  CHECK(code_of([&] {
          it.restore(request, {{}, {}, [](const io::postgres::Target&, const Limits&) -> std::string { throw Failure{Exit::data, "no"}; }, {}});
        }) == Exit::data);
  CHECK(answer(shop.target(), "SHOW default_transaction_read_only") == "off");
  // Unwell afterwards is told, not undone.
  const auto unwell = it.restore(request, {{}, {}, {}, [](const Limits&) { return std::string{"front: 500"}; }});
  CHECK(unwell.unwell == "front: 500");
  ask(shop.target(), "INSERT INTO t VALUES (0)");
}

TEST_CASE("restore: what one that was killed left is taken back by the next run") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, "CREATE TABLE t AS SELECT generate_series(1, 1000) i"};
  Restoring it{shop};
  it.take(shop.target());
  // As a killed one leaves it: the mark of a process that is no more, the live database closed and read-only.
  const auto left = shop.name + "_new_20260101_000000_000";
  auto connection = io::postgres::Connection::open(shop.target("postgres"), a_minute());
  const auto leave = [&](const std::string& field, const std::string& value) {
    ask(shop.target("postgres"), "CREATE DATABASE " + left);
    backup::mark(connection, left, {shop.name, true}, a_minute());
    ask(shop.target("postgres"), "DO $$ BEGIN EXECUTE format('COMMENT ON DATABASE " + left + " IS %L', regexp_replace(shobj_description((SELECT oid FROM pg_database WHERE datname = '" + left +
                                     "'), 'pg_database'), '" + field + ":[^,}]+', '" + field + ":" + value + "')); END $$");
    ask(shop.target("postgres"), "ALTER DATABASE " + shop.name + " SET default_transaction_read_only TO on");
    ask(shop.target("postgres"), "ALTER DATABASE " + shop.name + " ALLOW_CONNECTIONS false");
  };
  backup::mend_restores(connection, "", a_minute());  // what other cases left on this server
  // A container's, or one of before the machine was restarted: nobody can see that it has ended, but it no longer holds the restore's lock.
  leave("\"boot_id\"", "\"1\"");
  {
    auto holder = io::postgres::Connection::open(shop.target("postgres"), a_minute());
    backup::lock_restore(holder, shop.name, a_minute());
    CHECK(backup::mend_restores(connection, shop.name, a_minute()).empty());
    CHECK(backup::mend_restores(connection, "", a_minute()).empty());
    backup::unlock_restore(holder, shop.name, a_minute());
  }
  CHECK(backup::mend_restores(connection, shop.name, a_minute()).size() == 3);
  CHECK(it.databases() == shop.name);
  CHECK(answer(shop.target(), "SHOW default_transaction_read_only") == "off");
  // One whose process has another start than the mark says.
  leave("\"start_time\"", "1");
  CHECK(backup::mend_restores(connection, "", a_minute()).size() == 3);
  CHECK(it.databases() == shop.name);
  ask(shop.target(), "INSERT INTO t VALUES (0)");
}
