#include "lib/backup/custom_archive.hpp"
#include "lib/backup/restore.hpp"
#include "lib/backup/snapshot.hpp"
#include "lib/backup/swap.hpp"
#include "lib/backup/verify.hpp"
#include "lib/base/failure.hpp"
#include "lib/io/row_digest.hpp"

namespace codops::backup {
namespace {

using io::postgres::Connection;

// Reads back what the server really holds, in the form in which it was dumped.
std::map<std::string, TableContent> contents(const io::postgres::Target& target, const std::vector<TableContent>& tables,
                                             Progress& progress, const Limits& limits) {
  auto connection = open_for_copy(target, limits);
  std::map<std::string, std::string> names;
  const auto rows = connection.query(
      "SELECT n.nspname || '.' || c.relname, pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname)"
      " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r'",
      limits);
  for (std::size_t i = 0; i < rows.size(); ++i) names.emplace(rows.text(i, 0), rows.text(i, 1));
  std::map<std::string, TableContent> found;
  for (const auto& table : tables) {
    const auto name = names.find(table.table);
    if (name == names.end()) continue;
    progress.at(table.table);
    io::RowDigest digest;
    connection.copy_out(fmt::format("COPY {} TO STDOUT", name->second),
                        [&](std::string_view row) {
                          digest.feed(row);
                          progress.advance(row.size());
                        },
                        limits);
    found[table.table] = {table.table, digest.rows(), digest.hex()};
  }
  return found;
}

class Scratch {
 public:
  Scratch(Connection& server, std::string name) : server_{server}, name_{std::move(name)} {}
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    try {
      const auto limits = Limits{}.within(Milliseconds{20'000});
      auto again = Connection::open(server_.target(), limits);
      drop_database(again, name_, limits);
    } catch (const std::exception&) {
      // The scratch server is gone, and the database with it.
    }
  }

 private:
  Connection& server_;
  std::string name_;
};

}  // namespace

Drill drill(Catalogue& catalogue, const Entry& entry, const io::postgres::Target& server_target,
            const LoadOptions& options, const Keyring& keys, const Clock& clock, Reporter& reporter,
            const Limits& limits) {
  const auto& manifest = entry.manifest;
  if (!manifest.database || manifest.find("archive") == nullptr) {
    throw Failure{Exit::data, fmt::format("backup {} has no archive to drill", manifest.label)};
  }
  const auto started = clock.steady();
  auto server = Connection::open(server_target, limits);
  const auto programs = find_programs(server.server_version() / 10000, server_target, {}, limits);
  auto findings = preflight(*manifest.database, server, limits);
  // Whose the objects are makes no difference to their content.
  std::erase_if(findings, [](const Finding& finding) { return finding.message.starts_with("role \""); });
  require_possible(findings);

  const auto name = side_name(manifest.database->name, "drill", clock.now());
  const Scratch scratch{server, name};
  create_database(server, name, {manifest.database->encoding, manifest.database->collate, manifest.database->ctype, {}},
                  limits);
  auto target = server_target;
  target.database = name;
  Progress progress{reporter, clock, "drill", manifest.plain_size() * 2};
  auto load = options;
  load.no_owner = true;
  Drill result;
  try {
    load_backup(catalogue, manifest, keys, target, *programs, load, progress, limits);
    result.took = std::chrono::duration_cast<Milliseconds>(clock.steady() - started);
    result.difference = difference(manifest.tables, contents(target, manifest.tables, progress, limits));
  } catch (const Failure& failure) {
    if (failure.code() != Exit::data) throw;
    result.difference = failure.message();
  }
  result.same = result.difference.empty();
  result.rows = manifest.rows();
  catalogue.mark(manifest.label,
                 [&](Marks& marks) {
                   marks.damage = result.difference;
                   if (!result.same) return;
                   marks.drilled = marks.verified = clock.now();
                   marks.drill_took = result.took;
                 },
                 limits);
  return result;
}

}  // namespace codops::backup
