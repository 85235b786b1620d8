#include "lib/backup/verify.hpp"

#include "lib/backup/custom_archive.hpp"
#include "lib/backup/files_part.hpp"
#include "lib/backup/reading.hpp"
#include "lib/backup/redis_part.hpp"
#include "lib/backup/snapshot.hpp"
#include "lib/base/failure.hpp"
#include "lib/io/row_digest.hpp"
#include "lib/text/printable.hpp"

namespace codops::backup {
namespace {

using Digests = std::map<std::string, io::RowDigest>;

void read_archive(io::Reader& reader, Digests& digests, Progress& progress) {
  io::RowDigest* current = nullptr;
  ArchiveScanner scanner{{{},
                          [&](const TocEntry& entry) {
                            current = entry.description == "TABLE DATA" ? &digests[entry.table()] : nullptr;
                            progress.at(entry.table());
                          },
                          [&](std::string_view bytes) {
                            if (current != nullptr) current->feed(bytes);
                          },
                          {},
                          {},
                          {}}};
  std::vector<char> buffer(256U << 10U);
  while (const auto got = reader.read(buffer.data(), buffer.size())) {
    scanner.feed({buffer.data(), got});
    progress.advance(got);
  }
  scanner.finish();
}

void read_rows(io::Reader& reader, const Part& part, Digests& digests, Progress& progress) {
  io::RowDigest digest;
  std::vector<char> buffer(256U << 10U);
  while (const auto got = reader.read(buffer.data(), buffer.size())) {
    digest.feed({buffer.data(), got});
    progress.advance(got);
  }
  if (!digest.complete()) throw Failure{Exit::data, fmt::format("\"{}\" ends inside a row", part.name)};
  digests[part.subject].add(digest);
}

void read_through(io::Reader& reader, Progress& progress) {
  std::vector<char> buffer(256U << 10U);
  while (const auto got = reader.read(buffer.data(), buffer.size())) progress.advance(got);
}

Verification examine(Catalogue& catalogue, const Entry& entry, const Keyring& keys, Progress& progress,
                     const Limits& limits) {
  const auto& manifest = entry.manifest;
  const auto folder = catalogue.folder() + "/" + manifest.label;
  Verification result;
  if (entry.trust == Trust::invalid) {
    result.untrusted = true;
    result.damage = "the manifest is not signed by the trusted key";
    return result;
  }
  result.read = !manifest.encrypted || keys.can_read(manifest.recipients.empty());
  Digests digests;
  for (const auto& part : manifest.parts) {
    progress.at(part.name);
    if (!result.read) {
      check_stored(catalogue.store(), folder, part, limits);
      continue;
    }
    try {
      PartReader reader{catalogue.store(), folder, part, keys, limits};
      if (part.kind == "archive") {
        read_archive(reader, digests, progress);
      } else if (part.kind == "rows") {
        read_rows(reader, part, digests, progress);
      } else if (part.kind == "redis") {
        check_redis(reader, part);
      } else if (part.kind == "files") {
        check_files(reader, part);
      } else {
        read_through(reader, progress);
      }
    } catch (Failure& failure) {
      if (failure.code() == Exit::data) failure.add_context(part.name);
      throw;
    }
  }
  if (result.read && manifest.find("archive") != nullptr) {
    std::map<std::string, TableContent> found;
    for (const auto& [table, digest] : digests) {
      found[table] = {table, digest.rows(), digest.hex()};
      result.rows += digest.rows();
    }
    result.damage = difference(manifest.tables, found);
  }
  result.whole = result.damage.empty();
  return result;
}

}  // namespace

Verification verify(Catalogue& catalogue, const Entry& entry, const Keyring& keys, WallTime now, Progress& progress,
                    const Limits& limits) {
  Verification result;
  const Reading reading{catalogue, entry.manifest.label, limits};
  try {
    result = examine(catalogue, entry, keys, progress, limits);
  } catch (const Failure& failure) {
    if (failure.code() != Exit::data) throw;  // no key, no answer, interrupted: nothing was learned
    result.damage = failure.message();
  }
  if (result.untrusted) return result;
  try {
    catalogue.mark(entry.manifest.label,
                   [&](Marks& marks) {
                     marks.damage = result.damage;
                     if (result.whole) marks.verified = now;
                   },
                   limits);
  } catch (const Failure& failure) {
    // Whoever may only read the store, or finds it full, has verified all the same.
    if (failure.code() != Exit::failed && failure.code() != Exit::config) throw;
    result.unrecorded = failure.message();
  }
  return result;
}

namespace {

// Which leaf of a table that is partitioned by hash has a row depends on the server, where an enum's values have numbers of their own: leaves
// that have the same rows together are as they should be. "schema.name" of a leaf → its root's.
std::map<std::string, std::string> roots_by_hash(io::postgres::Connection& connection, const Limits& limits) {
  std::map<std::string, std::string> roots;
  if (connection.server_version() < 120000) return roots;  // has no pg_partition_ancestors
  const auto rows = connection.query(
      "SELECT n.nspname || '.' || c.relname, rn.nspname || '.' || r.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
      " JOIN pg_catalog.pg_class r ON r.oid = pg_catalog.pg_partition_root(c.oid) JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace"
      " WHERE c.relispartition AND c.relkind = 'r' AND EXISTS (SELECT FROM pg_catalog.pg_partition_ancestors(c.oid) a JOIN pg_catalog.pg_partitioned_table p"
      " ON p.partrelid = a.relid WHERE p.partstrat = 'h')",
      limits);
  for (std::size_t i = 0; i < rows.size(); ++i) roots.emplace(rows.text(i, 0), rows.text(i, 1));
  return roots;
}

void settle_leaves(const std::vector<TableContent>& tables, const std::map<std::string, std::string>& roots, std::map<std::string, TableContent>& found) {
  std::map<std::string, std::pair<io::RowDigest, io::RowDigest>> sums;  // by root: in the backup, here
  for (const auto& table : tables) {
    const auto root = roots.find(table.table);
    const auto here = found.find(table.table);
    if (root == roots.end() || here == found.end()) continue;
    sums[root->second].first.add(io::RowDigest::of(table.rows, table.digest));
    sums[root->second].second.add(io::RowDigest::of(here->second.rows, here->second.digest));
  }
  for (const auto& table : tables) {
    const auto root = roots.find(table.table);
    if (root == roots.end() || !found.contains(table.table)) continue;
    if (const auto& [expected, here] = sums.at(root->second); expected == here) found[table.table] = table;
  }
}

}  // namespace

std::map<std::string, TableContent> read_back(const io::postgres::Target& target, const std::vector<TableContent>& tables,
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
  settle_leaves(tables, roots_by_hash(connection, limits), found);
  return found;
}

std::string difference(const std::vector<TableContent>& expected, const std::map<std::string, TableContent>& found) {
  std::size_t seen = 0;
  for (const auto& table : expected) {
    const auto at = found.find(table.table);
    const auto name = text::printable(table.table, 200);
    if (at == found.end()) {
      if (table.rows == 0) continue;
      return fmt::format("\"{}\" is missing", name);
    }
    ++seen;
    if (at->second.rows != table.rows) {
      return fmt::format("\"{}\" has {} rows instead of {}", name, at->second.rows, table.rows);
    }
    if (at->second.digest != table.digest) return fmt::format("\"{}\" has other rows than the manifest says", name);
  }
  if (seen < found.size()) return "there are tables that the manifest does not name";
  return {};
}

}  // namespace codops::backup
