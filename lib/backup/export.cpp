#include "lib/backup/export.hpp"

#include "lib/backup/custom_archive.hpp"
#include "lib/backup/sql_script.hpp"
#include "lib/base/failure.hpp"
#include "lib/io/channel.hpp"

namespace codops::backup {
namespace {

constexpr std::size_t copy_size = 256U << 10U;
constexpr char data_block = 1;
constexpr std::string_view copy_end = "\\.\n\n\n";

// Rows of a table that has parts of its own, as data blocks of the archive: pg_backup_custom.c.
class BlockWriter {
 public:
  BlockWriter(io::Writer& out, std::size_t int_size) : out_{out}, int_size_{int_size} {}
  void begin(int id) {
    out_.write({&data_block, 1});
    integer(static_cast<std::uint32_t>(id));
  }
  void data(std::string_view bytes) {
    if (bytes.empty()) return;
    integer(static_cast<std::uint32_t>(bytes.size()));
    out_.write(bytes);
  }
  void end() { integer(0); }

 private:
  void integer(std::uint32_t value) {
    std::string text(1 + int_size_, '\0');
    for (std::size_t i = 0; i < std::min<std::size_t>(4, int_size_); ++i) {
      text[1 + i] = static_cast<char>((value >> (8 * i)) & 0xffU);
    }
    out_.write(text);
  }
  io::Writer& out_;
  std::size_t int_size_;
};

std::map<std::string, std::vector<const Part*>> row_parts(const Manifest& manifest) {
  std::map<std::string, std::vector<const Part*>> by_table;
  for (const auto& part : manifest.parts) {
    if (part.kind == "rows") by_table[part.subject].push_back(&part);
  }
  return by_table;
}

}  // namespace

void export_custom(Catalogue& catalogue, const Manifest& manifest, const Keyring& keys, io::Writer& out,
                   const Limits& limits) {
  const auto folder = catalogue.folder() + "/" + manifest.label;
  const auto* archive = manifest.find("archive");
  if (archive == nullptr) {
    throw Failure{Exit::data, fmt::format("backup {} has no custom archive", manifest.label), "export it with --format plain"};
  }
  const auto apart = row_parts(manifest);
  PartReader reader{catalogue.store(), folder, *archive, keys, limits};
  std::vector<char> buffer(copy_size);
  if (apart.empty()) {
    io::copy(reader, out);
    return;
  }
  // Up to the end of the table of contents nothing is passed on: it gets entries for the tables that are apart.
  std::optional<ArchiveHead> head;
  ArchiveScanner scanner{{[&](const ArchiveHead& read) { head = read; }, {}, {}, {}, {}, {}}};
  std::string held;
  std::vector<AddedData> added;
  for (const auto& [table, parts] : apart) added.push_back({table, parts.front()->copy, 0});
  const auto begin_output = [&] {
    out.write(with_table_data(*head, added));
    out.write(std::string_view{held}.substr(head->bytes.size()));
    held.clear();
  };
  while (const auto got = reader.read(buffer.data(), buffer.size())) {
    const bool was_open = head.has_value();
    scanner.feed({buffer.data(), got});
    if (was_open) {
      out.write({buffer.data(), got});
      continue;
    }
    held.append(buffer.data(), got);
    if (head) begin_output();
  }
  const bool was_open = head.has_value();
  scanner.finish();
  if (!was_open) begin_output();
  BlockWriter blocks{out, head->int_size};
  for (const auto& data : added) {
    blocks.begin(data.id);
    for (const auto* part : apart.at(data.table)) {
      PartReader rows{catalogue.store(), folder, *part, keys, limits};
      while (const auto got = rows.read(buffer.data(), buffer.size())) blocks.data({buffer.data(), got});
    }
    blocks.data(copy_end);
    blocks.end();
  }
  out.finish();
}

void export_plain(Catalogue& catalogue, const Manifest& manifest, const Keyring& keys, Programs& programs,
                  io::Writer& out, const Limits& limits) {
  if (const auto* sql = manifest.find("sql")) {
    PartReader reader{catalogue.store(), catalogue.folder() + "/" + manifest.label, *sql, keys, limits};
    as_one_transaction(reader, out);
    out.finish();
    return;
  }
  // Without that it would write BEGIN and COMMIT around the large objects alone, and psql's own transaction would end with them.
  Call call{"pg_restore", {"--single-transaction", "--file=-"}, {}};
  call.connects = false;
  io::stream_between([&](io::Writer& archive) { export_custom(catalogue, manifest, keys, archive, limits); },
                     [&](io::Reader& archive) {
                       call.streams.in = [&](char* into, std::size_t size) { return archive.read(into, size); };
                       call.streams.out = [&](std::string_view bytes) { out.write(bytes); };
                       programs.must(call, Exit::data, limits);
                       std::array<char, 4096> rest;
                       while (archive.read(rest.data(), rest.size()) > 0) {
                       }
                     });
  out.finish();
}

void export_part(Catalogue& catalogue, const Manifest& manifest, const std::string& name, const Keyring& keys, io::Writer& out,
                 const Limits& limits) {
  std::vector<std::string> known;
  for (const auto& part : manifest.parts) {
    known.push_back(part.name);
    if (part.name != name && part.subject != name && part.kind != name) continue;
    PartReader reader{catalogue.store(), catalogue.folder() + "/" + manifest.label, part, keys, limits};
    io::copy(reader, out);
    return;
  }
  throw Failure{Exit::usage, fmt::format("backup {} has no part \"{}\"", manifest.label, name), fmt::format("it has {}", fmt::join(known, ", "))};
}

}  // namespace codops::backup
