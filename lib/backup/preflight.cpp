#include "lib/backup/preflight.hpp"

#include "lib/backup/database_properties.hpp"
#include "lib/backup/session.hpp"
#include "lib/backup/snapshot.hpp"
#include "lib/backup/swap.hpp"
#include "lib/base/failure.hpp"
#include "lib/base/units.hpp"
#include "lib/io/files.hpp"
#include "lib/text/printable.hpp"

namespace codops::backup {
namespace {

std::set<std::string> column(io::postgres::Connection& server, std::string_view sql, const Limits& limits) {
  std::set<std::string> values;
  const auto rows = server.query(sql, limits);
  for (std::size_t i = 0; i < rows.size(); ++i) values.emplace(rows.text(i, 0));
  return values;
}

// Of the file system with the tablespace, the server's data among them, when the server runs on this very machine and lets us see it: its postmaster.pid
// must be readable here and tell the same start.
std::optional<std::uint64_t> free_in(const std::string& tablespace, io::postgres::Connection& server, const Limits& limits) {
  try {
    const auto rows = server.query("SELECT pg_catalog.current_setting('data_directory', true), pg_catalog.date_part('epoch', pg_catalog.pg_postmaster_start_time())::bigint,"
                                   " COALESCE((SELECT pg_catalog.pg_tablespace_location(oid) FROM pg_catalog.pg_tablespace WHERE spcname = $1), '')", {tablespace}, limits);
    const std::string folder{rows.text(0, 0)};
    if (folder.empty()) return std::nullopt;
    const auto text = io::read_file_if_there(folder + "/postmaster.pid");
    if (!text) return std::nullopt;
    std::size_t line = text->find('\n');
    if (line != std::string::npos) line = text->find('\n', line + 1);
    if (line == std::string::npos || std::llabs(std::atoll(text->c_str() + line + 1) - rows.number(0, 1)) > 2) return std::nullopt;
    const std::string location{rows.text(0, 2)};  // of the default one: none
    return std::filesystem::space(location.empty() ? folder : location).available;
  } catch (const std::exception&) {
    limits.check("a look at the server's disk");
    return std::nullopt;  // a role that may not ask, or a folder that we may not enter
  }
}

}  // namespace

std::vector<Finding> preflight(const DatabaseIdentity& backup, io::postgres::Connection& server, const Limits& limits, const std::string& tablespace) {
  std::vector<Finding> findings;
  const int server_major = server.server_version() / 10000, backup_major = backup.server_number / 10000;
  if (backup_major == 0) {
    // A dump that does not say.
  } else if (server_major < backup_major) {
    findings.push_back({true, fmt::format("the backup is of PostgreSQL {}, the server is {}", backup_major, server_major),
                        fmt::format("restore into PostgreSQL {} or newer", backup_major)});
  } else if (server_major > backup_major) {
    findings.push_back({false, fmt::format("the backup is of PostgreSQL {}, the server is {}", backup_major, server_major), {}});
  }
  const auto available = column(server, "SELECT name FROM pg_catalog.pg_available_extensions", limits);
  // Which only a superuser may make; "trusted" is there from PostgreSQL 13 on.
  const auto for_superusers = server.query("SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user", limits).boolean(0, 0)
                                  ? std::set<std::string>{}
                                  : column(server, fmt::format("SELECT a.name FROM pg_catalog.pg_available_extensions a JOIN pg_catalog.pg_available_extension_versions v ON v.name = a.name AND"
                                                               " v.version = a.default_version WHERE v.superuser AND a.name <> 'plpgsql'{}", server_major >= 13 ? " AND NOT v.trusted" : ""), limits);
  for (const auto& extension : backup.extensions) {
    const auto name = extension.substr(0, extension.rfind(' '));
    if (!available.contains(name)) {
      findings.push_back({true, fmt::format("extension \"{}\" is not available on the server", name),
                          fmt::format("install the package with \"{}\" there", name)});
    } else if (for_superusers.contains(name)) {
      findings.push_back({true, fmt::format("extension \"{}\" can be made by a superuser only, and role \"{}\" is none", name, server.target().user), "restore with a superuser's URL: --database-url-env NAME"});
    }
  }
  const auto roles = column(server, "SELECT rolname FROM pg_catalog.pg_roles", limits);
  for (const auto& role : backup.roles) {
    if (!roles.contains(role)) {
      findings.push_back({true, fmt::format("role \"{}\" does not exist on the server", role),
                          fmt::format("CREATE ROLE {}, or see globals.sql in the backup", io::postgres::quote_identifier(role))});
    }
  }
  const auto rights = server.query(
      "SELECT rolcreatedb OR rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user", limits);
  if (rights.empty() || !rights.boolean(0, 0)) {
    findings.push_back({true, fmt::format("role \"{}\" may not create a database", server.target().user),
                        "ALTER ROLE … CREATEDB"});
  }
  const auto place = !tablespace.empty() ? tablespace : tablespace_usable(server, backup.tablespace, limits) ? backup.tablespace : std::string{};
  if (const auto free = free_in(place, server, limits); free && backup.size > *free) {
    const auto where = place.empty() || place == "pg_default" ? std::string{"the server's disk"} : fmt::format("the disk of tablespace \"{}\"", place);
    findings.push_back({true, fmt::format("{} has {} free, and the database takes about {}", where, format_bytes(*free), format_bytes(backup.size)),
                        "make room; databases that earlier restores kept are called …_before_… and …_undone_…"});
  }
  if (!backup.tablespace.empty() && backup.tablespace != "pg_default" && !tablespace_usable(server, backup.tablespace, limits)) {
    findings.push_back({false, fmt::format("the server has no tablespace \"{}\" that this role may use, where the backup's database is: it goes where the live one is, else into the default one", backup.tablespace), {}});
  }
  for (const auto& name : backup.tablespaces) {
    if (tablespace_usable(server, name, limits)) continue;
    findings.push_back({true, fmt::format("tablespace \"{}\", where tables or indexes of the backup are, does not exist on the server, or this role may not use it", name),
                        fmt::format("CREATE TABLESPACE {} LOCATION …, or all of it into the default one: --no-tablespaces", io::postgres::quote_identifier(name))});
  }
  const auto collations =
      column(server, "SELECT collcollate FROM pg_catalog.pg_collation UNION SELECT datcollate FROM pg_catalog.pg_database", limits);
  if (!backup.collate.empty() && !collations.contains(backup.collate)) {
    findings.push_back({false, fmt::format("the server does not list the collation \"{}\"", backup.collate), {}});
  }
  return findings;
}

namespace {

// As PostgreSQL 15 has it; of extensions' own there is nothing in an archive.
bool takes_a_superuser(const TocEntry& entry) {
  static const std::set<std::string> kinds{"ACCESS METHOD",   "EVENT TRIGGER", "FOREIGN DATA WRAPPER", "OPERATOR CLASS",
                                           "OPERATOR FAMILY", "PUBLICATION TABLES IN SCHEMA", "TEXT SEARCH PARSER", "TEXT SEARCH TEMPLATE"};
  return kinds.contains(entry.description) || (entry.description == "PUBLICATION" && entry.definition.find(" FOR ALL TABLES") != std::string::npos);
}

std::vector<Finding> foreign_owners(const ArchiveHead& head, io::postgres::Connection& server, const Limits& limits) {
  std::map<std::string, std::string> owners;  // and one of their tables
  for (const auto& entry : head.entries) {
    if (entry.description == "TABLE" && !entry.owner.empty()) owners.emplace(entry.owner, entry.table());
  }
  std::vector<Finding> findings;
  for (const auto& [owner, table] : owners) {
    const auto foreign = server.query("SELECT FROM pg_catalog.pg_roles WHERE rolname = $1 AND NOT pg_catalog.pg_has_role(oid, 'MEMBER')", {owner}, limits);
    if (foreign.empty()) continue;
    findings.push_back({true, fmt::format("\"{}\" belongs to role \"{}\" in the backup, of which \"{}\" is no member", table, owner, server.target().user),
                        fmt::format("GRANT {} TO {}; or all of it to who restores: --no-owner; or a superuser's URL: --database-url-env NAME", io::postgres::quote_identifier(owner), io::postgres::quote_identifier(server.target().user))});
  }
  return findings;
}

}  // namespace

std::vector<Finding> preflight_archive(const std::function<ArchiveHead()>& archive, bool no_owner, io::postgres::Connection& server, const Limits& limits) {
  if (server.query("SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user", limits).boolean(0, 0)) return {};
  const auto head = archive();
  auto findings = no_owner ? std::vector<Finding>{} : foreign_owners(head, server, limits);
  for (const auto& entry : head.entries) {
    if (!takes_a_superuser(entry)) continue;
    findings.push_back({true, fmt::format("{} \"{}\" of the backup can be made by a superuser only, and role \"{}\" is none", text::printable(entry.description, 100), text::printable(entry.tag, 200), server.target().user),
                        "restore with a superuser's URL: --database-url-env NAME"});
  }
  return findings;
}

namespace {

// Neither a table nor a view nor a sequence, but what extensions brought.
bool holds_nothing(io::postgres::Connection& server, const io::postgres::Target& live, const Limits& limits) {
  if (!database_exists(server, live.database, limits)) return true;
  try {
    auto inside = open_session(live, limits);
    return inside.query("SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
                        " AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e') LIMIT 1",
                        limits).empty();
  } catch (const io::postgres::DatabaseError&) {
    limits.check("a look at the live database");
    return false;
  }
}

}  // namespace

std::vector<Finding> preflight_origin(const DatabaseIdentity& backup, io::postgres::Connection& server, const io::postgres::Target& live, bool meant, const Limits& limits) {
  const auto here = ask_origin(server, live.database, limits);
  if (same_database(backup, here)) return {};
  const auto what = fmt::format("the backup is of {}, and what it would replace is {}", origin_text(backup), origin_text(here));
  if (meant) return {{false, what + ": as --other-database says", {}}};
  if (holds_nothing(server, live, limits)) {
    return {{false, fmt::format("the backup is of {}; it comes to {}, which is not there yet or empty: nothing is replaced", origin_text(backup), origin_text(here)), {}}};
  }
  return {{true, what + ", another one with content of its own: a project of the same name may share the store, or the server was made anew",
           "if it is meant: --other-database; beside it: --into NAME"}};
}

std::vector<std::string> subscriptions(io::postgres::Connection& server, const std::string& database, const Limits& limits) {
  const auto rows = server.query("SELECT s.subname FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = s.subdbid"
                                 " WHERE d.datname = $1 AND s.subenabled ORDER BY 1", {database}, limits);
  std::vector<std::string> names;
  for (std::size_t i = 0; i < rows.size(); ++i) names.emplace_back(rows.text(i, 0));
  return names;
}

std::vector<Slot> slots(io::postgres::Connection& server, const std::string& database, const Limits& limits) {
  const auto rows = server.query("SELECT slot_name, plugin, active FROM pg_catalog.pg_replication_slots WHERE database = $1 AND NOT temporary ORDER BY 1", {database}, limits);
  std::vector<Slot> found;
  for (std::size_t i = 0; i < rows.size(); ++i) found.push_back({std::string{rows.text(i, 0)}, std::string{rows.text(i, 1)}, rows.boolean(i, 2)});
  return found;
}

std::string Slot::told_after(const std::string& live, const std::string& aside) const {
  const auto quoted = io::postgres::quote_literal(name);
  return fmt::format("replication slot \"{}\" stays with \"{}\" and holds WAL back until it is dropped: SELECT pg_drop_replication_slot({}); then in \"{}\": SELECT pg_create_logical_replication_slot({}, {}),"
                     " and its reader begins anew", name, aside, quoted, live, quoted, io::postgres::quote_literal(plugin));
}

std::vector<Finding> preflight_swap(io::postgres::Connection& server, const std::string& live, const Limits& limits) {
  std::vector<Finding> findings;
  // A prepared transaction belongs to no session, so that none can be ended to be rid of it; no database with one can be renamed.
  const auto prepared = server.query("SELECT gid, owner, prepared::timestamptz(0)::text FROM pg_catalog.pg_prepared_xacts WHERE database = $1 ORDER BY prepared", {live}, limits);
  for (std::size_t i = 0; i < prepared.size(); ++i) {
    const auto gid = io::postgres::quote_literal(prepared.text(i, 0));
    findings.push_back({true, fmt::format("\"{}\" has the prepared transaction {} of {}, since {}, and can't be renamed before that is ended", live, gid, prepared.text(i, 1), prepared.text(i, 2)),
                        fmt::format("in \"{}\": COMMIT PREPARED {}, or ROLLBACK PREPARED {}", live, gid, gid)});
  }
  for (const auto& name : subscriptions(server, live, limits)) {
    findings.push_back({false, fmt::format("\"{}\" receives rows by subscription \"{}\", which stays enabled in what is put aside and goes on taking its slot's rows there; what is restored has it disabled", live, name),
                        fmt::format("before the restore, in \"{}\": ALTER SUBSCRIPTION {} DISABLE", live, io::postgres::quote_identifier(name))});
  }
  for (const auto& slot : slots(server, live, limits)) {
    findings.push_back({false, fmt::format("replication slot \"{}\" of \"{}\", {}, stays with what is put aside: its reader gets nothing of what is restored, and WAL is held back for it", slot.name, live,
                                           slot.active ? "which is being read" : "which nobody reads at this moment"),
                        fmt::format("stop its reader, and once the restore is done: SELECT pg_drop_replication_slot({}), and make it anew in \"{}\"", io::postgres::quote_literal(slot.name), live)});
  }
  const auto owner = server.query("SELECT pg_catalog.pg_get_userbyid(datdba), pg_catalog.pg_has_role(datdba, 'USAGE') FROM pg_catalog.pg_database WHERE datname = $1", {live}, limits);
  if (!owner.empty() && !owner.boolean(0, 1)) {
    findings.push_back({true, fmt::format("\"{}\" belongs to role \"{}\", and \"{}\" may not rename it", live, owner.text(0, 0), server.target().user), "restore with its owner's or a superuser's URL: --database-url-env NAME"});
    return findings;
  }
  for (const auto& refused : refused_properties(server, live, limits)) {
    findings.push_back({false, fmt::format("what takes the place of \"{}\" will be without what role \"{}\" may not give it: {}", live, server.target().user, refused),
                        "restore with a superuser's URL: --database-url-env NAME; or let one say it again afterwards"});
  }
  return findings;
}

void require_primary(io::postgres::Connection& server, const Limits& limits) {
  if (!server.query("SELECT pg_catalog.pg_is_in_recovery()", limits).boolean(0, 0)) return;
  throw Failure{Exit::usage, fmt::format("{} is a standby, which takes no writes", server.target().describe()), "restore at its primary: --database-url-env NAME"};
}

void require_possible(const std::vector<Finding>& findings, std::string_view lead) {
  std::string message, hint;
  for (const auto& finding : findings) {
    if (!finding.blocks) continue;
    message += (message.empty() ? "" : "; ") + finding.message;
    if (hint.empty()) hint = finding.hint;
  }
  if (!message.empty()) throw Failure{Exit::data, fmt::format("{}: {}", lead, message), hint};
}

}  // namespace codops::backup
