#pragma once
// What can be known before a restore writes anything.
#include <functional>
#include <string>
#include <vector>

#include "lib/backup/custom_archive.hpp"
#include "lib/backup/manifest.hpp"
#include "lib/io/postgres.hpp"

namespace codops::backup {

struct Finding {
  bool blocks{};        // false: worth knowing
  std::string message;  // 'extension "postgis" is not installed on the server'
  std::string hint;
};

// The backup against the server that it would be restored into. `tablespace`: where the new database goes; empty: as the backup says,
// if there is that one.
std::vector<Finding> preflight(const DatabaseIdentity& backup, io::postgres::Connection& server, const Limits& limits, const std::string& tablespace = {});
// What of it only some roles may make: what superusers alone may, and tables of a role that this one is no member of, unless they come to
// belong to who restores (`no_owner`). Nothing for a superuser, for whom the archive is not read.
std::vector<Finding> preflight_archive(const std::function<ArchiveHead()>& archive, bool no_owner, io::postgres::Connection& server, const Limits& limits);
// A backup of another database must not take the live one's place by mistake: two projects may share a folder of the store. `meant`:
// it was said to be so. Where there is nothing to replace (a new server, after a loss) it is only told.
std::vector<Finding> preflight_origin(const DatabaseIdentity& backup, io::postgres::Connection& server, const io::postgres::Target& live, bool meant, const Limits& limits);
// The live database, which is to be swapped.
std::vector<Finding> preflight_swap(io::postgres::Connection& server, const std::string& live, const Limits& limits);
// Only a primary takes writes. Failure{usage} for a standby.
void require_primary(io::postgres::Connection& server, const Limits& limits);

// What receives rows from elsewhere goes on doing so in the database that was put aside: names of enabled subscriptions.
std::vector<std::string> subscriptions(io::postgres::Connection& server, const std::string& database, const Limits& limits);

// A slot of logical replication belongs to its database for ever, whatever that is called: who reads it goes on with what was put aside.
struct Slot {
  std::string name, plugin;  // "cdc", "pgoutput"
  bool active{};

  std::string told_after(const std::string& live, const std::string& aside) const;
};
std::vector<Slot> slots(io::postgres::Connection& server, const std::string& database, const Limits& limits);

// Throws Failure{data} with all that blocks, if anything does.
void require_possible(const std::vector<Finding>& findings, std::string_view lead = "the backup can't be restored here");

}  // namespace codops::backup
