#pragma once
// What one backup is: written last, signed, and enough to judge and restore it. JSON, version 1; unknown members are
// ignored by readers.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/clock.hpp"

namespace codops::backup {

struct TableContent {
  std::string table;  // as table_key() names it
  std::uint64_t rows{};
  std::string digest;  // io::RowDigest::hex()

  bool operator==(const TableContent&) const = default;
};

struct Part {
  std::string name;     // of the object, below the backup's folder: "database.dump.zst.age"
  std::string kind;     // archive (pg_dump -Fc), sql (pg_dump -Fp), rows (COPY text), globals, redis (RDB), files (tar)
  std::string subject;  // rows: the table, as table_key() names it; files: the volume's name or the folder; else empty
  std::string copy;     // rows: `"schema"."name" ("a", "b")`, as COPY takes it; of the table that takes them: of some partitions the root
  std::uint64_t size{};        // as stored
  std::uint64_t plain_size{};  // before compression and encryption
  std::string sha256;          // as stored
  std::string plain_sha256;    // empty where it was not computed (rows)
  std::map<std::string, std::uint64_t> counts;  // redis: keys by database, "0"; files: "files", "folders", "bytes"
  std::map<std::string, std::string> about;     // redis: "redis-ver", "used-mem"

  bool operator==(const Part&) const = default;
};

// Who knows how text is sorted: "libc" (then collate and ctype say it), "icu" or "builtin". All empty before PostgreSQL 15, and in
// manifests of an earlier codops.
struct LocaleProvider {
  std::string provider;
  std::string name, rules;  // not of libc: "de-DE-x-icu"

  bool operator==(const LocaleProvider&) const = default;
};

struct DatabaseIdentity {
  std::string name, owner;
  std::string server_version;  // "15.18 (Debian 15.18-0+deb12u1)"
  int server_number{};         // 150018
  std::string system_identifier;  // empty where the role may not ask
  std::string encoding, collate, ctype;
  std::string dump_version;    // of the pg_dump that was used
  std::uint64_t size{};        // pg_database_size
  std::vector<std::string> extensions;  // "postgis 3.3.2"
  std::vector<std::string> roles;       // that own something or are granted something
  LocaleProvider locale{};
  std::string tablespace{};
  std::vector<std::string> tablespaces{};  // other ones, that its tables and indexes are in
  std::string lc_monetary{};               // how text of type money is written; empty: not told

  bool operator==(const DatabaseIdentity&) const = default;
};

// By the server's identifier, where both know it, and the name.
bool same_database(const DatabaseIdentity& one, const DatabaseIdentity& other);
// `"shop" of server 7412…`
std::string origin_text(const DatabaseIdentity& database);

struct Manifest {
  std::string label;        // "20261123-101500F"
  std::string environment;
  std::string folder;       // of the catalogue, "shop/production": it is signed, so that no backup can pass for another's
  std::string tag;          // of --label, free text; empty: none
  bool safety{};            // of what was there before a restore: the state of an accident, so never "latest", nor counted by retention
  std::uint64_t sequence{}; // one more than the newest backup's of its time
  WallTime started{}, finished{};
  std::string codops_version;
  std::string host;         // that took it
  bool encrypted{};
  std::vector<std::string> recipients;  // "age1…"; empty with a passphrase
  std::optional<DatabaseIdentity> database;
  std::vector<Part> parts;
  std::vector<TableContent> tables;  // of the database, sorted; counted in the dump's own snapshot

  std::uint64_t size() const;        // of all parts, as stored
  std::uint64_t plain_size() const;
  std::uint64_t rows() const;
  const Part* find(std::string_view kind) const;  // the first of that kind
  std::string contents() const;      // "12 tables, 160010 rows, 4021 keys, 17 files"
  bool operator==(const Manifest&) const = default;
};

std::string to_json(const Manifest& manifest);
// Throws Failure{data} for what is no manifest, or one of a later version.
Manifest parse_manifest(std::string_view json);

}  // namespace codops::backup
