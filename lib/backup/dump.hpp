#pragma once
// The database's parts of a backup, all from one snapshot.
#include <atomic>
#include <mutex>
#include <string>
#include <vector>

#include "lib/backup/manifest.hpp"
#include "lib/backup/part_stream.hpp"
#include "lib/backup/programs.hpp"
#include "lib/backup/progress.hpp"
#include "lib/backup/snapshot.hpp"

namespace codops::backup {

struct DumpOptions {
  bool archive{true};  // pg_dump's custom format
  bool plain{false};   // SQL
  int jobs{1};         // workers; with more than one, large tables are read beside pg_dump
  bool split{false};   // large tables as parts of their own even with one worker (--format directory)
  int level{1};
  std::uint64_t large{8U << 20U};  // bytes from which on a table is one of its own
  Milliseconds lock_wait{60'000};
};

struct Dumped {
  std::vector<Part> parts;
  std::vector<TableContent> tables;  // sorted
  std::string dump_version;
};

// Everything that writing a part needs.
struct Destination {
  store::Store& store;
  std::string folder;
  const Keyring& keys;
};

// Each part is durable when this returns, but nothing is published. Throws when any child or statement failed, or what
// streamed by was not a whole dump.
Dumped dump_database(Snapshot& snapshot, const io::postgres::Target& target, Programs& programs,
                     const Destination& destination, const DumpOptions& options, Progress& progress,
                     const Limits& limits);

// Roles, tablespaces and their settings, as SQL; without passwords when the role may not read them.
// `database`: from which they are asked, as others may be closed to this role.
Part dump_globals(const Snapshot& snapshot, const std::string& database, Programs& programs, const Destination& destination, const Limits& limits);

}  // namespace codops::backup
