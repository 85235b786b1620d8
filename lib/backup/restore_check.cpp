// `restore --dry-run`: what a restore would find, without writing anything.
#include "lib/backup/dump_file.hpp"
#include "lib/backup/half_restored.hpp"
#include "lib/backup/hints.hpp"
#include "lib/backup/redis_part.hpp"
#include "lib/backup/restore_beside.hpp"
#include "lib/backup/restore_steps.hpp"

namespace codops::backup {
namespace {

using Findings = std::vector<Finding>;

void append(Findings& to, Findings found) { to.insert(to.end(), std::make_move_iterator(found.begin()), std::make_move_iterator(found.end())); }

Findings check_file(const Subject& subject, const RestoreRequest& request, io::postgres::Connection& server, const Limits& limits) {
  const auto programs = find_programs(server.server_version() / 10000, subject.database, subject.container, limits);
  DumpFile file{request.file};
  file.check(*programs, limits);
  return preflight(file.needs().identity(request.load.no_owner, request.load.no_tablespaces), server, limits);
}

// The database alone, into a place of its own: single tables, or --into.
Findings check_copy(Catalogue& catalogue, const Manifest& manifest, const RestoreRequest& request, const Keyring& keys, io::postgres::Connection& server, const Limits& limits) {
  const CheckedBackup checked{catalogue, manifest, database_parts(manifest), keys, limits};
  if (!request.tables.empty()) {
    const auto head = archive_head(checked, limits);
    std::vector<TableName> there;
    for (const auto& entry : head.entries) {
      if (entry.description == "TABLE") there.push_back({entry.schema, entry.tag});
    }
    // In another encoding what was typed is other bytes.
    if (head.encoding == "UTF8") {
      for (const auto& asked : request.tables) find_table(asked, there, see_backup(catalogue, manifest.label));
    }
  }
  if (!manifest.database) return {};
  auto identity = *manifest.database;
  // Rows of single tables go where their schema is.
  if (request.load.no_tablespaces || !request.tables.empty()) identity.tablespaces.clear();
  auto findings = preflight(identity, server, limits);
  if (request.tables.empty() && manifest.find("archive") != nullptr) append(findings, preflight_archive([&] { return archive_head(checked, limits); }, request.load.no_owner, server, limits));
  return findings;
}

Findings check_replacement(Catalogue& catalogue, const Manifest& manifest, const Subject& subject, const RestoreRequest& request, const Keyring& keys,
                           io::postgres::Connection& server, const Limits& limits) {
  std::vector<std::string> notes;
  const auto beside = beside_database(manifest, subject, request, see_backup(catalogue, manifest.label), notes);
  const bool with_database = request.wants("database");
  const CheckedBackup checked{catalogue, manifest, parts_to_read(manifest, beside, with_database), keys, limits};
  Findings findings;
  if (manifest.database) {
    auto identity = *manifest.database;
    if (request.load.no_tablespaces) identity.tablespaces.clear();
    append(findings, preflight_origin(identity, server, subject.database, request.other_database, limits));
    if (with_database) append(findings, preflight(identity, server, limits, shape_of(server, subject.database.database, limits).tablespace));
    if (with_database && manifest.find("archive") != nullptr) append(findings, preflight_archive([&] { return archive_head(checked, limits); }, request.load.no_owner, server, limits));
  }
  for (auto& note : notes) findings.push_back({false, std::move(note), {}});
  if (beside.redis == nullptr) return findings;
  try {
    const RedisRestore looked{*subject.redis, *beside.redis, limits};
    if (auto note = looked.note(); !note.empty()) findings.push_back({false, std::move(note), {}});
  } catch (const Failure& failure) {
    findings.push_back({true, failure.message(), failure.hint()});
  }
  return findings;
}

}  // namespace

bool live_exists(const Subject& subject, const Limits& limits) {
  auto server = open_beside(subject.database, subject.database.database, limits);
  return database_exists(server, subject.database.database, limits);
}

std::vector<Finding> check_restore(Catalogue& catalogue, const Subject& subject, const RestoreRequest& request,
                                   const Keyring& keys, const Limits& limits) {
  const auto& live = subject.database.database;
  auto server = open_beside(subject.database, live, limits);
  require_primary(server, limits);
  const bool replaces = request.into.empty() && request.tables.empty();
  Findings findings;
  if (replaces && request.wants("database") && database_exists(server, live, limits)) findings = preflight_swap(server, live, limits);
  if (const auto taken = into_taken(request, server, limits)) findings.push_back({true, taken->message(), taken->hint()});
  if (!request.file.empty()) {
    append(findings, check_file(subject, request, server, limits));
    return findings;
  }
  const auto entry = catalogue.find(request.backup, limits);
  append(findings, replaces ? check_replacement(catalogue, entry.manifest, subject, request, keys, server, limits)
                            : check_copy(catalogue, entry.manifest, request, keys, server, limits));
  if (const auto half = half_restored(server, live, limits)) findings.push_back({false, half->text(live), half->remedy(subject.environment)});
  for (const auto& passed : entry.passed_over) findings.push_back({false, passed, {}});
  return findings;
}

}  // namespace codops::backup
