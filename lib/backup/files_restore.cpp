// Laying out beside what is live, and the folder's own ways to change places.
#include "lib/backup/files_part.hpp"
#include "lib/base/failure.hpp"
#include "lib/io/tar_special.hpp"

namespace codops::backup {
namespace fs = std::filesystem;
namespace {

std::size_t strip_of(const Part& part) {
  const auto found = part.about.find("strip");
  return found == part.about.end() ? 0 : static_cast<std::size_t>(std::atoi(found->second.c_str()));
}

// The same archive with every path below `folder`.
io::ByteSource moved_below(std::shared_ptr<io::TarReader> tar, std::string folder, std::size_t strip) {
  return io::tar_stream([tar, folder = std::move(folder), strip, first = true](io::TarEntry& entry, io::ByteSource& content) mutable {
    if (std::exchange(first, false)) {
      entry.path = folder;
      entry.kind = io::TarEntry::Kind::directory;
      entry.mode = 0755;
      return true;
    }
    for (;;) {
      auto next = tar->next();
      if (!next) return false;
      const auto inner = io::inner_path(next->path, strip);
      if (inner.empty() || is_laid_aside(std::string_view{inner}.substr(0, inner.find('/')))) continue;
      if (next->kind == io::TarEntry::Kind::other) throw Failure{Exit::data, fmt::format("\"{}\" is a device or the like", inner)};
      if (next->kind == io::TarEntry::Kind::hardlink) next->link_target = folder + "/" + io::inner_path(next->link_target, strip);
      next->path = folder + "/" + inner;
      entry = std::move(*next);
      content = [tar](char* into, std::size_t size) { return tar->read(into, size); };
      return true;
    }
  });
}

void with_entries(const FilesPlace& place, const std::function<void(Entries&)>& act, const Limits& limits) {
  if (!place.directory.empty()) {
    const auto entries = local_entries(place.directory);
    act(*entries);
    return;
  }
  place.with_container(true,
                       [&](const std::string& container, const std::string& path) {
                         const auto entries = container_entries(*place.containers, container, path);
                         act(*entries);
                       },
                       limits);
}

}  // namespace

FilesRestore::FilesRestore(FilesPlace place, const Part& part, std::string stamp)
    : place_{std::move(place)}, part_{part}, stamp_{std::move(stamp)} {}

FilesRestore::~FilesRestore() {
  if (!laid_ || swapped_) return;
  try {
    const auto limits = Limits{}.within(Milliseconds{20'000});
    with_entries(place_, [&](Entries& entries) { entries.remove(".codops-new-" + stamp_, limits); }, limits);
  } catch (const std::exception&) {
    // mend_swap() of the next restore removes it.
  }
}

void FilesRestore::load(io::Reader& tar, Progress& progress, const Limits& limits) {
  progress.at(place_.name);
  const auto fresh = ".codops-new-" + stamp_;
  const auto strip = strip_of(part_);
  with_entries(place_, [&](Entries& entries) { mend_swap(entries, limits); }, limits);
  laid_ = true;
  const auto from = [&](char* into, std::size_t size) {
    limits.check("restoring files");
    const auto got = tar.read(into, size);
    progress.advance(got);
    return got;
  };
  if (!place_.directory.empty()) {
    fs::create_directories(place_.directory / fresh);
    io::TarReader reader{from};
    const auto [unpacked, less_special] = io::unpack_own_tar(reader, place_.directory / fresh, strip);
    less_special_ = less_special;
    const auto expected = part_.counts.find("bytes");
    if (expected != part_.counts.end() && expected->second != unpacked.bytes) {
      throw Failure{Exit::data, fmt::format("\"{}\" has {} bytes of files instead of {}", part_.name, unpacked.bytes, expected->second)};
    }
  } else {
    const auto reader = std::make_shared<io::TarReader>(from);
    place_.with_container(true,
                          [&](const std::string& container, const std::string& path) {
                            place_.containers->write_archive(container, path, moved_below(reader, fresh, strip), limits);
                          },
                          limits);
  }
  // The rest of the stream: only at its end is it known to be whole.
  std::array<char, 4096> rest;
  while (tar.read(rest.data(), rest.size()) > 0) {
  }
}

void FilesRestore::swap(const Limits& limits) {
  try {
    with_entries(place_, [&](Entries& entries) { swap_entries(entries, stamp_, limits); }, limits);
  } catch (const Failure& failure) {
    // By what was laid out whoever mends it sees which way.
    if (failure.code() == Exit::undo_failed) laid_ = false;
    throw;
  }
  swapped_ = true;
}

void FilesRestore::swap_back(const Limits& limits) {
  if (!swapped_) return;
  with_entries(place_, [&](Entries& entries) { swap_entries_back(entries, stamp_, limits); }, limits);
  swapped_ = false;
}

std::string FilesRestore::kept() const { return fmt::format("{}: .codops-before-{}", place_.name, stamp_); }

std::string FilesRestore::note() const {
  if (less_special_ == 0) return {};
  return fmt::format("{}: {} files or folders have lost their setuid or setgid bit, which only root can give back", place_.name, less_special_);
}

std::vector<std::string> mend_files(const FilesPlace& place, const Limits& limits) {
  if (place.directory.empty()) return {};
  const auto entries = local_entries(place.directory);
  if (!needs_mending(*entries, limits)) return {};
  mend_swap(*entries, limits);
  return {fmt::format("{}: what a restore that died had begun there is taken back, and an undo that died is done", place.name)};
}

void mend_files_anywhere(const FilesPlace& place, const Limits& limits) {
  with_entries(place, [&](Entries& entries) { if (needs_mending(entries, limits)) mend_swap(entries, limits); }, limits);
}

std::string files_put_aside(const FilesPlace& place, const Limits& limits) {
  std::string stamp;
  with_entries(place, [&](Entries& entries) { stamp = entries_put_aside(entries, limits); }, limits);
  return stamp;
}

void undo_files(const FilesPlace& place, const std::string& stamp, const Limits& limits) {
  with_entries(place, [&](Entries& entries) { undo_entries(entries, stamp, limits); }, limits);
}

}  // namespace codops::backup
