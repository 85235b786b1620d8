#pragma once
// A database worth backing up, a store in a folder, and keys.
#include <doctest/doctest.h>

#include "lib/backup/backup.hpp"
#include "lib/base/failure.hpp"
#include "lib/io/files.hpp"
#include "lib/store/directory.hpp"
#include "tests/support/postgres_server.hpp"

namespace codops::tests {

inline Limits a_minute() { return Limits{}.within(Milliseconds{60'000}); }

inline io::postgres::Rows ask(const io::postgres::Target& target, const std::string& sql) {
  auto connection = io::postgres::Connection::open(target, a_minute());
  return connection.run(sql, a_minute()).last;
}

inline std::string answer(const io::postgres::Target& target, const std::string& sql) {
  const auto rows = ask(target, sql);
  return rows.empty() ? std::string{} : std::string{rows.text(0, 0)};
}

// Odd names, odd values, every kind of object that data depend on; `orders` has 60,000 rows.
inline constexpr const char* shop_sql = R"(
CREATE SCHEMA "odd schema";
CREATE TABLE customers (id serial PRIMARY KEY, name text NOT NULL, note text, born date, score double precision);
INSERT INTO customers (name, note, born, score)
  SELECT 'name ' || i, CASE i % 4 WHEN 0 THEN NULL WHEN 1 THEN E'tab\there\nnewline \\ back' WHEN 2 THEN '' ELSE '\.' END,
         date '2000-01-01' + i, i / 7.0 FROM generate_series(1, 1000) i;
CREATE TABLE orders (id bigint PRIMARY KEY, customer int REFERENCES customers, total numeric(10,2), at timestamptz,
                     payload jsonb, twice numeric GENERATED ALWAYS AS (total * 2) STORED);
INSERT INTO orders (id, customer, total, at, payload)
  SELECT i, 1 + i % 1000, i * 1.5, timestamptz '2026-01-01' + i * interval '1 s', jsonb_build_object('n', i, 's', md5(i::text))
  FROM generate_series(1, 60000) i;
CREATE INDEX orders_at ON orders (at);
CREATE TABLE "odd schema"."we""ird, name" ("col ""x""" text, b bytea, a int[]);
INSERT INTO "odd schema"."we""ird, name" VALUES ('x', '\x0001ff', '{1,2}'), (E'\u00e4\u20ac', NULL, NULL), ('', '', '{}');
CREATE TABLE one_column (t text);
INSERT INTO one_column VALUES (''), ('\.'), (NULL), (E'a\nb');
CREATE TABLE empty_table (x int);
CREATE TABLE parted (k int, v text) PARTITION BY RANGE (k);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (50);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (50) TO (100);
INSERT INTO parted SELECT i, 'v' || i FROM generate_series(0, 99) i;
CREATE MATERIALIZED VIEW totals AS SELECT customer, sum(total) AS total FROM orders GROUP BY 1;
CREATE FUNCTION label(o orders) RETURNS text LANGUAGE sql AS $$ SELECT 'COPY public.orders FROM stdin;' $$;
SELECT lo_from_bytea(4711, '\xdeadbeef');
SELECT nextval('customers_id_seq') FROM generate_series(1, 5);
)";

struct Shop {
  explicit Shop(PostgresServer& from, const std::string& sql = shop_sql) : server{from}, name{from.create_database("shop")} {
    ask(target(), sql);
  }
  io::postgres::Target target() const { return server.tcp(name); }
  io::postgres::Target target(const std::string& database) const { return server.tcp(database); }

  PostgresServer& server;
  std::string name;
};

struct Backups {
  io::TemporaryFolder folder;
  store::DirectoryStore store{folder.path()};
  backup::Keyring keys;
  backup::Catalogue catalogue{store, "shop/test"};
  SystemClock clock;
  SilentReporter reporter;

  backup::Taken take(const io::postgres::Target& target, const backup::Options& options = {}) {
    return backup::take(catalogue, {"test", target, {}}, options, keys, clock, reporter, a_minute());
  }
  std::vector<std::string> labels() {
    std::vector<std::string> all;
    for (const auto& entry : catalogue.list(Limits{})) all.push_back(entry.manifest.label);
    return all;
  }
  std::filesystem::path path(const std::string& label, const std::string& part) const {
    return folder.path() / "shop" / "test" / label / part;
  }
  // Files below the store that belong to no listed backup, locks left out.
  std::vector<std::string> strays() {
    const auto listed = labels();
    std::vector<std::string> all;
    for (const auto& entry : std::filesystem::recursive_directory_iterator{folder.path()}) {
      if (!entry.is_regular_file() || entry.path().extension() == ".lock") continue;
      const auto label = entry.path().parent_path().filename().string();
      const bool hidden = entry.path().filename().string().starts_with('.');
      if (hidden || std::find(listed.begin(), listed.end(), label) == listed.end()) all.push_back(entry.path().string());
    }
    return all;
  }
};

inline const backup::TableContent* content_of(const backup::Manifest& manifest, const std::string& table) {
  for (const auto& content : manifest.tables) {
    if (content.table == table) return &content;
  }
  return nullptr;
}

}  // namespace codops::tests
