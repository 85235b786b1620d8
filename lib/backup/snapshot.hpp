#pragma once
// One moment of a database, shared by everything that is read for a backup: an exported snapshot, held open.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/backup/manifest.hpp"
#include "lib/io/postgres.hpp"

namespace codops::backup {

struct LargeTable {
  std::string table;    // as table_key() names it
  std::string pattern;  // for pg_dump --exclude-table-data: "schema"."name"
  std::string name;     // quoted, for SQL
  std::string into;     // what takes its rows: itself, or the root of its partitions (hash_leaves.hpp)
  std::string columns;  // quoted, comma separated, as COPY takes them
  std::uint64_t blocks{};
};

class Snapshot {
 public:
  Snapshot(const io::postgres::Target& target, Milliseconds lock_wait, const Limits& limits);

  const std::string& id() const noexcept { return id_; }
  const DatabaseIdentity& identity() const noexcept { return identity_; }
  int server_major() const noexcept { return identity_.server_number / 10000; }
  bool superuser() const noexcept { return superuser_; }
  // Schemas that are no part of the backup: what restores laid beside the live tables.
  const std::vector<std::string>& left_out() const noexcept { return left_out_; }
  // What pg_dump's session is given at its start: see copy_options().
  const std::string& session() const noexcept { return session_; }
  // Why nobody can read it any more, if its session was ended.
  std::optional<std::string> gone(const Limits& limits);
  // Ordinary tables of at least `bytes`, largest first, locked against changes of their definition.
  std::vector<LargeTable> large_tables(std::uint64_t bytes, const Limits& limits);
  // The session that holds those locks, and waits for none of them: its COPY is as good as open_for_copy()'s.
  io::postgres::Connection& holder() noexcept { return connection_; }

 private:
  void read_identity(const Limits& limits);

  io::postgres::Connection connection_;
  std::string id_, session_;
  DatabaseIdentity identity_;
  std::vector<std::string> left_out_;
  bool superuser_{};
};

// Name and server of a database, as far as this role may know.
DatabaseIdentity ask_origin(io::postgres::Connection& connection, const std::string& database, const Limits& limits);

// A connection whose COPY writes values exactly as pg_dump's does.
io::postgres::Connection open_for_copy(const io::postgres::Target& target, const Limits& limits);

}  // namespace codops::backup
