#include "lib/backup/verify.hpp"

#include "lib/backup/custom_archive.hpp"
#include "lib/backup/files_part.hpp"
#include "lib/backup/read_back.hpp"
#include "lib/backup/reading.hpp"
#include "lib/backup/redis_part.hpp"
#include "lib/base/failure.hpp"
#include "lib/io/row_digest.hpp"

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

}  // namespace codops::backup
