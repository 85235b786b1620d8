// Taking. Laying out is in files_restore.cpp, what changes places afterwards in files_swap.cpp.
#include "lib/backup/files_part.hpp"

#include "lib/backup/folder_walk.hpp"
#include "lib/base/failure.hpp"
#include "lib/io/channel.hpp"
#include "lib/io/tar_special.hpp"

namespace codops::backup {
namespace {

void take_folder(const FilesPlace& place, FilesTaken& taken, PartWriter& writer, Progress& progress, const Limits& limits) {
  FolderWalk walk{place.directory, taken};
  const auto tar = io::tar_stream([&](io::TarEntry& entry, io::ByteSource& content) { return walk.next(entry, content); });
  std::vector<char> buffer(256U << 10U);
  while (const auto got = tar(buffer.data(), buffer.size())) {
    limits.check("reading files");
    writer.write({buffer.data(), got});
    progress.advance(got);
  }
  walk.counts.into(writer.part());
}

FileCounts count_tar(io::Reader& reader) {
  FileCounts counts;
  io::TarReader tar{[&](char* into, std::size_t size) { return reader.read(into, size); }};
  std::vector<char> buffer(256U << 10U);
  while (const auto entry = tar.next()) {
    counts.add(*entry);
    while (tar.next_block()) {
    }
  }
  // libarchive stops at the archive's end; what comes behind belongs to the stream all the same.
  while (reader.read(buffer.data(), buffer.size()) > 0) {
  }
  return counts;
}

// The engine's tar has names inside the volume's own folder, and hard links.
constexpr std::size_t volume_strip = 1;

// The same without what restores laid beside the live files, and without devices.
io::ByteSource only_live(std::shared_ptr<io::TarReader> tar, FileCounts& counts, FilesTaken& taken) {
  return io::tar_stream([tar, &counts, &taken](io::TarEntry& entry, io::ByteSource& content) {
    for (;;) {
      auto next = tar->next();
      if (!next) return false;
      const auto inner = io::inner_path(next->path, volume_strip);
      if (is_laid_aside(std::string_view{inner}.substr(0, inner.find('/')))) continue;
      if (next->kind == io::TarEntry::Kind::other) {
        ++taken.left_out;
        continue;
      }
      counts.add(*next);
      entry = std::move(*next);
      content = [tar](char* into, std::size_t size) { return tar->read(into, size); };
      return true;
    }
  });
}

void take_volume(const FilesPlace& place, FilesTaken& taken, PartWriter& writer, Progress& progress, const Limits& limits) {
  FileCounts counts;
  place.with_container(false,
                       [&](const std::string& container, const std::string& path) {
                         io::stream_between(
                             [&](io::Writer& passing) {
                               place.containers->read_archive(container, path,
                                                              [&](std::string_view bytes) {
                                                                passing.write(bytes);
                                                                progress.advance(bytes.size());
                                                              },
                                                              limits);
                             },
                             [&](io::Reader& passing) {
                               const auto tar = std::make_shared<io::TarReader>([&](char* into, std::size_t size) { return passing.read(into, size); });
                               const auto live = only_live(tar, counts, taken);
                               std::vector<char> buffer(256U << 10U);
                               while (const auto got = live(buffer.data(), buffer.size())) writer.write({buffer.data(), got});
                               // libarchive stops at the archive's end; what comes behind belongs to the stream all the same.
                               while (passing.read(buffer.data(), buffer.size()) > 0) {
                               }
                             });
                       },
                       limits);
  counts.into(writer.part());
  writer.part().about["strip"] = std::to_string(volume_strip);
}

}  // namespace

FilesTaken take_files(const FilesPlace& place, std::size_t number, const Destination& destination, int level, Progress& progress,
                      const Limits& limits) {
  progress.at(place.name);
  FilesTaken taken;
  Part part;
  part.name = fmt::format("files-{:02}.tar", number);
  part.kind = "files";
  part.subject = place.name;
  PartWriter writer{destination.store, destination.folder, std::move(part), {level, 0, true}, destination.keys, limits};
  if (place.directory.empty()) take_volume(place, taken, writer, progress, limits);
  else take_folder(place, taken, writer, progress, limits);
  writer.finish();
  taken.part = writer.commit();
  return taken;
}

void check_files(io::Reader& reader, const Part& part) {
  Part found;
  count_tar(reader).into(found);
  if (found.counts != part.counts) throw Failure{Exit::data, "other files than the manifest says"};
}

}  // namespace codops::backup
