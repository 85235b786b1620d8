#include "lib/backup/restore_steps.hpp"
#include "lib/backup/restore.hpp"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "lib/backup/side_schema.hpp"
#include "lib/backup/swap.hpp"
#include "lib/backup/verify.hpp"
#include "lib/io/process.hpp"
#include "lib/io/row_digest.hpp"
#include "tests/support/backup_fixture.hpp"

using namespace codops;
using namespace codops::tests;
namespace fs = std::filesystem;

namespace {

// Everything that a dump says about a database, definitions and rows, without names of databases and dates.
std::string fingerprint(const io::postgres::Target& target) {
  auto connection = backup::open_for_copy(target, a_minute());
  std::string text;
  const auto tables = connection.query(
      "SELECT quote_ident(n.nspname) || '.' || quote_ident(relname) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
      " WHERE relkind IN ('r', 'm') AND nspname !~ '^pg_|information_schema' ORDER BY 1", a_minute());
  for (std::size_t i = 0; i < tables.size(); ++i) {
    io::RowDigest digest;
    connection.copy_out("COPY (SELECT * FROM " + std::string{tables.text(i, 0)} + ") TO STDOUT",
                        [&](std::string_view row) { digest.feed(row); }, a_minute());
    text += std::string{tables.text(i, 0)} + " " + std::to_string(digest.rows()) + " " + digest.hex() + "\n";
  }
  text += PostgresServer::program("pg_dump", {"-s", "--restrict-key=x", "-h", target.host, "-p", target.port, "-U", "postgres", "-d",
                                              "postgresql://postgres:" + target.password.reveal() + "@/" + target.database});
  text += answer(target, "SELECT last_value::text FROM customers_id_seq");
  text += answer(target, "SELECT string_agg(encode(lo_get(oid), 'hex'), ',') FROM pg_largeobject_metadata");
  return text;
}

struct Restoring : Backups {
  explicit Restoring(Shop& from) : shop{from} {}

  backup::Restored restore(backup::RestoreRequest request, const backup::RestoreHooks& hooks = {}) {
    if (request.backup.empty() && request.file.empty()) request.backup = "latest";
    return backup::restore(catalogue, {"test", shop.target(), {}}, request, {}, hooks, keys, clock, reporter, a_minute());
  }
  std::string databases() {
    return answer(shop.target("postgres"), "SELECT string_agg(datname, ',' ORDER BY datname) FROM pg_database WHERE datname LIKE '" + shop.name + "%'");
  }
  Shop& shop;
};

Exit code_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Failure& failure) {
    MESSAGE(failure.message());
    return failure.code();
  }
  return Exit::ok;
}

void flip(const fs::path& file, std::uintmax_t at) {
  std::fstream stream{file, std::ios::in | std::ios::out | std::ios::binary};
  stream.seekg(static_cast<std::streamoff>(at));
  const char byte = static_cast<char>(stream.get() ^ 0x20);
  stream.seekp(static_cast<std::streamoff>(at));
  stream.put(byte);
}

}  // namespace

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

TEST_CASE("restore: dumps of plain pg_dump, and cut off ones are refused") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server};
  Restoring it{shop};
  const io::TemporaryFolder folder;
  fs::permissions(folder.path(), fs::perms::all);
  const auto before = fingerprint(shop.target());
  const auto url = "postgresql://postgres@/" + shop.name + "?host=" + server->folder() + "&port=" + std::to_string(server->port());
  const auto dump = [&](const std::string& format) { return io::capture({{"pg_dump", format, url}, {}, {}}, a_minute(), 1U << 30U); };
  io::write_file(folder.path() / "custom", dump("-Fc"));
  io::write_file(folder.path() / "plain.sql", dump("-Fp"));
  ask(shop.target(), "ALTER DATABASE " + shop.name + " SET work_mem TO '5MB'");
  // It makes its database and goes into it; run as it stands it would change the live one.
  io::write_file(folder.path() / "create.sql", io::capture({{"pg_dump", "-C", "--clean", "--if-exists", url}, {}, {}}, a_minute(), 1U << 30U));
  io::write_file(folder.path() / "inserts.sql", io::capture({{"pg_dump", "--rows-per-insert=100", url}, {}, {}}, a_minute(), 1U << 30U));
  io::write_file(folder.path() / "plain.sql.gz", io::capture({{"gzip", "-c", (folder.path() / "plain.sql").string()}, {}, {}}, a_minute(), 1U << 30U));
  CHECK(io::read_file(folder.path() / "create.sql", 1U << 30U).find("\n\\connect ") != std::string::npos);
  ask(shop.target(), "ALTER DATABASE " + shop.name + " SET work_mem TO '6MB'");
  for (const char* name : {"custom", "plain.sql", "plain.sql.gz", "create.sql", "inserts.sql"}) {
    CAPTURE(name);
    backup::RestoreRequest request;
    request.file = folder.path() / name;
    request.safety_backup = false;
    request.load.jobs = 2;
    const auto whole = io::read_file(request.file, 1U << 30U);
    io::write_file(request.file, whole.substr(0, whole.size() * 2 / 3));
    const auto names = it.databases();
    CHECK(code_of([&] { it.restore(request); }) == Exit::data);
    CHECK(it.databases() == names);
    io::write_file(request.file, whole);
    ask(shop.target(), "DROP TABLE orders CASCADE");
    const auto restored = it.restore(request);
    CHECK((fingerprint(shop.target()) == before));
    CHECK(answer(shop.target(), "SHOW work_mem") == "6MB");
    ask(shop.target("postgres"), "DROP DATABASE " + restored.aside);
  }
}

TEST_CASE("restore: a SQL dump that runs commands of psql, or is one of pg_dumpall, is refused before a database is made") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, "CREATE TABLE t AS SELECT generate_series(1, 1000) i"};
  Restoring it{shop};
  const io::TemporaryFolder folder;
  const auto url = "postgresql://postgres@/" + shop.name + "?host=" + server->folder() + "&port=" + std::to_string(server->port());
  const auto dump = io::capture({{"pg_dump", url}, {}, {}}, a_minute(), 1U << 30U);
  const auto end = dump.find("--\n-- PostgreSQL database dump complete");
  REQUIRE(end != std::string::npos);
  const auto owned = folder.path() / "owned";
  backup::RestoreRequest request;
  request.file = folder.path() / "evil.sql";
  request.safety_backup = false;
  bool prepared = false;
  const auto refused = [&](const std::string& sql) {
    io::write_file(request.file, sql);
    CHECK(code_of([&] { it.restore(request, {[&](const Limits&) { prepared = true; }, {}, {}, {}}); }) == Exit::data);
    CHECK_FALSE(prepared);
    CHECK(it.databases() == shop.name);
    CHECK_FALSE(fs::exists(owned));
  };
  for (const std::string line : {"\\! touch ", "\\o |touch ", "SELECT 1 \\g |touch ", "\\unrestrict x\n\\! touch "}) {
    CAPTURE(line);
    refused(std::string{dump}.insert(end, line + owned.string() + "\n"));
  }
  // Names that other tests have made in encodings of their own are too much for it.
  refused(io::capture({{"pg_dumpall", "-h", server->folder(), "-p", std::to_string(server->port()), "-U", "postgres", "--no-role-passwords", "--exclude-database=odd*"}, {}, {}}, a_minute(), 1U << 30U));
  // What the server refuses is told with its line, and nothing stays.
  io::write_file(request.file, std::string{dump}.insert(end, "SELECT no_such_function();\n"));
  try {
    it.restore(request);
    FAIL("restored");
  } catch (const Failure& failure) {
    CHECK(failure.code() == Exit::failed);
    CHECK(failure.message().find("\"SELECT no_such_function()\"") != std::string::npos);
  }
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

TEST_CASE("restore: single tables come into a schema of their own, partitions as one, and nothing else changes") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server};
  Restoring it{shop};
  ask(shop.target(), "CREATE TABLE no_columns (); INSERT INTO no_columns DEFAULT VALUES; INSERT INTO no_columns DEFAULT VALUES");
  backup::Options options;
  SUBCASE("one stream") {}
  SUBCASE("two workers") {
    options.dump.jobs = 2;
    options.dump.large = 8192;
  }
  const auto taken = it.take(shop.target(), options);
  ask(shop.target(), "DELETE FROM orders WHERE id % 2 = 0; ALTER TABLE orders DROP COLUMN payload; DROP TABLE one_column");
  const auto before = fingerprint(shop.target());
  const auto names = it.databases();
  backup::RestoreRequest request;
  request.backup = taken.manifest.label;
  request.tables = {"orders", "public.parted", "odd schema.we\"ird, name", "one_column"};
  const auto tables = [&] {
    return backup::restore_tables(it.catalogue, {"test", shop.target(), {}}, request, it.keys, it.clock, it.reporter, a_minute());
  };
  const auto restored = tables();
  CHECK(restored.rows == 60000 + 100 + 3 + 4);
  CHECK(answer(shop.target(), "SELECT count(*)::text FROM " + restored.schema + ".orders WHERE payload->>'n' = id::text AND twice = total * 2") == "60000");
  CHECK(answer(shop.target(), "SELECT sum(k)::text FROM " + restored.schema + ".parted") == "4950");
  CHECK(answer(shop.target(), "SELECT count(*)::text FROM " + restored.schema + ".\"we\"\"ird, name\"") == "3");
  ask(shop.target(), "DROP SCHEMA " + restored.schema + " CASCADE");
  CHECK((fingerprint(shop.target()) == before));
  CHECK(it.databases() == names);
  request.tables = {"order"};
  try {
    tables();
    FAIL("restored");
  } catch (const Failure& failure) {
    CHECK(failure.code() == Exit::usage);
    CHECK((failure.hint().find("did you mean") != std::string::npos || failure.hint() == "see: codops backup show test " + taken.manifest.label));
  }
  request.tables = {"no_columns"};
  const auto bare = tables();
  CHECK(bare.rows == 2);
  ask(shop.target(), "DROP SCHEMA " + bare.schema + " CASCADE");
  CHECK(answer(shop.target(), "SELECT count(*)::text FROM pg_namespace WHERE nspname LIKE 'restor%'") == "0");
  // A manifest that says other rows: found, and nothing stays.
  auto manifest = taken.manifest;
  for (auto& table : manifest.tables) table.digest[0] = table.digest[0] == '0' ? '1' : '0';
  it.store.put(it.catalogue.object(manifest.label, "manifest.json"), backup::to_json(manifest), Limits{});
  request.tables = {"orders"};
  CHECK(code_of([&] { tables(); }) == Exit::data);
  CHECK(answer(shop.target(), "SELECT count(*)::text FROM pg_namespace WHERE nspname LIKE 'restor%'") == "0");
  CHECK(it.databases() == names);
}

TEST_CASE("restore: what --table laid beside the live tables is in no later backup, unless somebody made it his own") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server};
  Restoring it{shop};
  backup::Options options;
  SUBCASE("one stream") {}
  SUBCASE("two workers") {
    options.dump.jobs = 2;
    options.dump.large = 8192;
  }
  SUBCASE("SQL beside it") { options.dump.plain = true; }
  const auto first = it.take(shop.target(), options);
  backup::RestoreRequest request;
  request.tables = {"orders", "customers"};
  const auto tables = [&](const std::string& label) {
    request.backup = label;
    return backup::restore_tables(it.catalogue, {"test", shop.target(), {}}, request, it.keys, it.clock, it.reporter, a_minute());
  };
  const auto beside = tables(first.manifest.label).schema;
  ask(shop.target(), "CREATE INDEX ON " + beside + ".orders (customer); ALTER TABLE " + beside + ".orders ADD PRIMARY KEY (id)");
  const auto second = it.take(shop.target(), options);
  CHECK(second.manifest.tables == first.manifest.tables);
  backup::RestoreRequest whole;
  whole.backup = second.manifest.label;
  whole.into = shop.name + "_copy";
  it.restore(whole);
  CHECK(answer(shop.target(whole.into), "SELECT count(*)::text FROM pg_namespace WHERE nspname LIKE 'restor%'") == "0");
  CHECK(answer(shop.target(whole.into), "SELECT count(*)::text FROM orders") == "60000");

  // A view of somebody's needs it: without the schema that backup could not be restored.
  ask(shop.target(), "CREATE VIEW compared AS SELECT id FROM " + beside + ".orders");
  const auto third = it.take(shop.target(), options);
  CHECK(content_of(third.manifest, beside + ".orders") != nullptr);
  whole.backup = third.manifest.label;
  whole.into = shop.name + "_copy2";
  it.restore(whole);
  CHECK(answer(shop.target(whole.into), "SELECT count(*)::text FROM compared") == "60000");
  // Short names mean the live tables all the same.
  ask(shop.target(), "DROP VIEW compared; UPDATE " + beside + ".customers SET name = 'beside'");
  const auto again = tables(third.manifest.label).schema;
  CHECK(answer(shop.target(), "SELECT count(*)::text FROM " + again + ".customers WHERE name <> 'beside'") == "1000");
  request.tables = {beside + ".orders"};
  CHECK(tables(third.manifest.label).rows == 60000);
  // Adopted: without the comment it is a schema like any other.
  CHECK(content_of(it.take(shop.target(), options).manifest, beside + ".orders") == nullptr);
  ask(shop.target(), "COMMENT ON SCHEMA " + beside + " IS NULL");
  CHECK(content_of(it.take(shop.target(), options).manifest, beside + ".orders") != nullptr);
  CHECK(content_of(it.take(shop.target(), options).manifest, again + ".customers") == nullptr);
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

namespace {

// A role that owns its database and may make others, and is no superuser.
struct Owner {
  explicit Owner(Shop& shop) : name{shop.name + "_owner"} {
    ask(shop.target(), "CREATE ROLE " + name + " LOGIN CREATEDB PASSWORD 'owner-pass'; ALTER DATABASE " + shop.name + " OWNER TO " + name);
    target = shop.target();
    target.user = name;
    target.password = Secret{"owner-pass"};
  }
  std::string name;
  io::postgres::Target target;
};

struct Files {
  explicit Files(Shop& shop, PostgresServer& server)
      : url{"postgresql://postgres@/" + shop.name + "?host=" + server.folder() + "&port=" + std::to_string(server.port())} {
    fs::permissions(folder.path(), fs::perms::all);
  }
  std::string dump(const std::vector<std::string>& options) const {
    std::vector<std::string> argv{"pg_dump"};
    argv.insert(argv.end(), options.begin(), options.end());
    argv.push_back(url);
    return io::capture({argv, {}, {}}, a_minute(), 1U << 30U);
  }
  backup::RestoreRequest request(const std::string& content) const {
    backup::RestoreRequest request;
    request.file = folder.path() / "dump";
    request.safety_backup = false;
    io::write_file(request.file, content);
    return request;
  }
  io::TemporaryFolder folder;
  std::string url;
};

std::string failure_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Failure& failure) {
    return failure.message();
  }
  return "none";
}

}  // namespace

TEST_CASE("restore by an owner: a superuser's session that it may not end fails it, and the live database stays writable") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, "CREATE TABLE t AS SELECT generate_series(1, 1000) i"};
  Owner owner{shop};
  Restoring it{shop};
  backup::RestoreRequest request;
  request.backup = it.take(shop.target()).manifest.label;
  request.safety_backup = false;
  request.load.no_owner = true;
  const auto restore = [&] { return backup::restore(it.catalogue, {"test", owner.target, {}}, request, {}, {}, it.keys, it.clock, it.reporter, a_minute()); };
  for (const bool read_only : {true, false}) {
    CAPTURE(read_only);
    request.read_only = read_only;
    {
      auto superuser = io::postgres::Connection::open(shop.target(), a_minute());
      CHECK(failure_of(restore).find("session " + std::to_string(superuser.backend_pid()) + " of postgres") != std::string::npos);
      CHECK(superuser.usable());
      superuser.run("INSERT INTO t VALUES (0)", a_minute());
    }
    CHECK(it.databases() == shop.name);
    CHECK(answer(shop.target(), "SHOW default_transaction_read_only") == "off");
    CHECK(answer(owner.target, "SHOW default_transaction_read_only") == "off");
  }
  // Alone, it does; and what it restores belongs to it, whoever owned what was backed up.
  request.read_only = true;
  const auto restored = restore();
  CHECK(answer(shop.target(), "SELECT count(*)::text FROM t") == "1000");
  CHECK(answer(shop.target(), "SELECT tableowner FROM pg_tables WHERE tablename = 't'") == owner.name);
  CHECK(answer(shop.target(), "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()") == owner.name);
}

TEST_CASE("restore --no-owner: of a backup whose database belonged to somebody else, and of plain SQL") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, "CREATE TABLE t AS SELECT generate_series(1, 1000) i"};
  Restoring it{shop};
  Files files{shop, *server};
  auto request = files.request(files.dump({}));
  const auto own = files.dump({"--use-set-session-authorization"});
  const auto label = it.take(shop.target()).manifest.label;  // of postgres
  Owner owner{shop};
  request.load.no_owner = true;
  const auto restore = [&] { return backup::restore(it.catalogue, {"test", owner.target, {}}, request, {}, {}, it.keys, it.clock, it.reporter, a_minute()); };
  const auto theirs = [&] {
    restore();
    CHECK(answer(shop.target(), "SELECT (SELECT tableowner FROM pg_tables WHERE tablename = 't') || (SELECT count(*) FROM t)") == owner.name + "1000");
  };
  theirs();
  request = files.request(own);
  request.load.no_owner = true;
  theirs();
  request.file.clear();
  request.backup = label;
  theirs();
}

TEST_CASE("restore: a dump file that changes after its check leaves the live database as it is") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, "CREATE TABLE t AS SELECT generate_series(1, 1000) i"};
  Restoring it{shop};
  Files files{shop, *server};
  const auto plain = files.dump({});
  std::string other = plain;
  other.replace(other.find("\n999\n"), 5, "\n888\n");
  for (const auto& content : {plain, files.dump({"-Fc"})}) {
    for (const auto& change : {std::string{}, content.starts_with("PGDMP") ? content + "x" : other}) {
      CAPTURE(change.size());
      const auto request = files.request(content);
      // In place, between the check and the load.
      const auto meanwhile = [&](const Limits&) { std::ofstream{request.file, std::ios::binary | std::ios::trunc} << change; };
      CHECK(code_of([&] { it.restore(request, {meanwhile, {}, {}, {}}); }) != Exit::ok);
      CHECK(it.databases() == shop.name);
      CHECK(answer(shop.target(), "SELECT count(*)::text FROM t WHERE i = 999") == "1");
      // Another file under its name is not looked at: the checked one is open.
      const auto second = files.request(content);
      const auto replaced = [&](const Limits&) {
        fs::remove(second.file);
        io::write_file(second.file, "");
      };
      const auto restored = it.restore(second, {replaced, {}, {}, {}});
      CHECK(answer(shop.target(), "SELECT count(*)::text FROM t") == "1000");
      ask(shop.target("postgres"), "DROP DATABASE " + restored.aside);
    }
  }
  backup::RestoreRequest pipe;
  pipe.file = files.folder.path() / "pipe";
  REQUIRE(::mkfifo(pipe.file.c_str(), 0600) == 0);
  CHECK(code_of([&] { it.restore(pipe); }) == Exit::usage);
}

TEST_CASE("restore: pg_dump --clean finds nothing to drop, and needs that the server lacks are told before the safety backup") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server};
  Restoring it{shop};
  Files files{shop, *server};
  const auto before = fingerprint(shop.target());
  auto request = files.request(files.dump({"--clean"}));
  const auto restored = it.restore(request);
  CHECK((fingerprint(shop.target()) == before));
  ask(shop.target("postgres"), "DROP DATABASE " + restored.aside);

  auto missing = files.dump({});
  const auto end = missing.find("--\n-- PostgreSQL database dump complete");
  missing.insert(end, "ALTER TABLE public.orders OWNER TO nobody_here;\nCREATE EXTENSION no_such_extension;\nGRANT SELECT ON TABLE public.orders TO nobody_there;\n");
  missing.replace(missing.find("Dumped from database version ") + 29, 2, "99");
  request = files.request(missing);
  request.safety_backup = true;
  const auto why = failure_of([&] { it.restore(request); });
  for (const char* what : {"nobody_here", "nobody_there", "no_such_extension", "PostgreSQL 99"}) CHECK(why.find(what) != std::string::npos);
  CHECK(it.labels().empty());
  // A custom one says the same.
  ask(shop.target(), "CREATE ROLE " + shop.name + "_gone; ALTER TABLE customers OWNER TO " + shop.name + "_gone");
  request = files.request(files.dump({"-Fc"}));
  request.safety_backup = true;
  ask(shop.target(), "ALTER TABLE customers OWNER TO postgres; DROP ROLE " + shop.name + "_gone");
  CHECK(failure_of([&] { it.restore(request); }).find(shop.name + "_gone") != std::string::npos);
  CHECK(it.labels().empty());
  CHECK(it.databases() == shop.name);
}

TEST_CASE("restore: the password of a subscription or a user mapping in a dump is not told") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, "CREATE TABLE t (i int)"};
  Restoring it{shop};
  Files files{shop, *server};
  const auto dump = files.dump({});
  const auto end = dump.find("--\n-- PostgreSQL database dump complete");
  for (const char* sql : {"CREATE SUBSCRIPTION s CONNECTION 'host=x password=c4nary' PUBLICATION p, p;\n",
                          "CREATE SUBSCRIPTION s CONNECTION 'host=x c4nary' PUBLICATION p WITH (connect = false);\n", "CREATE USER MAPPING FOR postgres SERVER nowhere OPTIONS (password 'c4nary');\n"}) {
    const auto why = failure_of([&] { it.restore(files.request(std::string{dump}.insert(end, sql))); });
    CAPTURE(why);
    CHECK(why.find("CREATE ") != std::string::npos);
    CHECK(why.find("c4nary") == std::string::npos);
  }
  CHECK(it.databases() == shop.name);
}

TEST_CASE("restore: a side schema of many tables does not make backups slow") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, "DO $$ BEGIN FOR i IN 1..1500 LOOP EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, s text DEFAULT ''x'')', i); END LOOP; END $$"};
  // As --table leaves it.
  ask(shop.target(), "CREATE SCHEMA restored_20260101_000000_000; CREATE TABLE restored_20260101_000000_000.t1 (id int, s text);"
                     " COMMENT ON SCHEMA restored_20260101_000000_000 IS '" + backup::side_schema_comment("x") + "'");
  auto connection = io::postgres::Connection::open(shop.target(), a_minute());
  const auto names = backup::side_schemas(connection, a_minute());
  CHECK(names == std::vector<std::string>{"restored_20260101_000000_000"});
  ask(shop.target(), "CREATE VIEW needs_it AS SELECT id FROM restored_20260101_000000_000.t1");
  CHECK(backup::side_schemas(connection, a_minute()).empty());
  // Was 11 s each.
  const auto began = std::chrono::steady_clock::now();
  for (int i = 0; i < 5; ++i) backup::side_schemas(connection, a_minute());
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds{10});
}
