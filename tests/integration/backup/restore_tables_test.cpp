// Single tables, into a schema beside the live ones.
#include "lib/backup/side_schema.hpp"
#include "tests/support/restore_fixture.hpp"

using namespace codops;
using namespace codops::tests;

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
