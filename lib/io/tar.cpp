#include "lib/io/tar.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <array>
#include <cstring>
#include <deque>
#include <exception>

#include "lib/base/failure.hpp"

namespace codops::io {
namespace {

struct ArchiveFree {
  void operator()(archive* handle) const { ::archive_free(handle); }
};
struct EntryFree {
  void operator()(archive_entry* entry) const { ::archive_entry_free(entry); }
};
using ArchiveHandle = std::unique_ptr<archive, ArchiveFree>;
using EntryHandle = std::unique_ptr<archive_entry, EntryFree>;

la_ssize_t append(archive*, void* text, const void* data, std::size_t size) {
  static_cast<std::string*>(text)->append(static_cast<const char*>(data), size);
  return static_cast<la_ssize_t>(size);
}

ArchiveHandle writer_into(std::string& bytes) {
  ArchiveHandle handle{::archive_write_new()};
  // Not the restricted one, which has fractions of a second only where something else needs an extended header too.
  ::archive_write_set_format_pax(handle.get());
  // Names as they are: libarchive would translate them by the process's locale, which for a tool run by cron is "C".
  ::archive_write_set_options(handle.get(), "hdrcharset=BINARY");
  ::archive_write_set_bytes_per_block(handle.get(), 0);
  if (::archive_write_open(handle.get(), &bytes, nullptr, &append, nullptr) != ARCHIVE_OK) {
    throw Failure{Exit::bug, fmt::format("tar: {}", ::archive_error_string(handle.get()))};
  }
  return handle;
}

void write_header(archive* handle, const TarEntry& entry, std::uint64_t size) {
  EntryHandle header{::archive_entry_new()};
  ::archive_entry_set_pathname(header.get(), entry.path.c_str());
  ::archive_entry_set_perm(header.get(), static_cast<::mode_t>(entry.mode));
  ::archive_entry_set_uid(header.get(), entry.uid);
  ::archive_entry_set_gid(header.get(), entry.gid);
  ::archive_entry_set_mtime(header.get(), entry.mtime, static_cast<long>(entry.mtime_ns));
  switch (entry.kind) {
    case TarEntry::Kind::directory:
      ::archive_entry_set_filetype(header.get(), AE_IFDIR);
      break;
    case TarEntry::Kind::symlink:
      ::archive_entry_set_filetype(header.get(), AE_IFLNK);
      ::archive_entry_set_symlink(header.get(), entry.link_target.c_str());
      break;
    case TarEntry::Kind::hardlink:
      ::archive_entry_set_filetype(header.get(), AE_IFREG);
      ::archive_entry_set_hardlink(header.get(), entry.link_target.c_str());
      break;
    case TarEntry::Kind::file:
      ::archive_entry_set_filetype(header.get(), AE_IFREG);
      ::archive_entry_set_size(header.get(), static_cast<la_int64_t>(size));
      if (entry.extents) {
        for (const auto& extent : *entry.extents) ::archive_entry_sparse_add_entry(header.get(), static_cast<la_int64_t>(extent.offset), static_cast<la_int64_t>(extent.size));
        if (entry.extents->empty()) ::archive_entry_sparse_add_entry(header.get(), 0, 0);
      }
      break;
    case TarEntry::Kind::other:
      throw Failure{Exit::data, fmt::format("tar: \"{}\" is neither file, directory nor symlink", entry.path)};
  }
  if (::archive_write_header(handle, header.get()) != ARCHIVE_OK) {
    throw Failure{Exit::data, fmt::format("tar: \"{}\": {}", entry.path, ::archive_error_string(handle))};
  }
}

}  // namespace

std::string write_tar(const std::vector<TarEntry>& entries) {
  std::string bytes;
  auto handle = writer_into(bytes);
  for (const auto& entry : entries) {
    write_header(handle.get(), entry, entry.content.size());
    if (entry.kind == TarEntry::Kind::file && !entry.content.empty()) {
      ::archive_write_data(handle.get(), entry.content.data(), entry.content.size());
    }
  }
  ::archive_write_close(handle.get());
  return bytes;
}

struct TarReader::State {
  ByteSource source;
  std::array<char, 65536> buffer;
  std::exception_ptr thrown;
  ArchiveHandle handle;
  Block block{};  // of the current file: what is not handed out yet
  std::uint64_t at{}, size{};
  bool ended{};

  static la_ssize_t fill(archive* handle, void* self, const void** data) {
    auto& state = *static_cast<State*>(self);
    *data = state.buffer.data();
    try {
      return static_cast<la_ssize_t>(state.source(state.buffer.data(), state.buffer.size()));
    } catch (...) {
      state.thrown = std::current_exception();
      ::archive_set_error(handle, ARCHIVE_FATAL, "the source failed");
      return ARCHIVE_FATAL;
    }
  }

  [[noreturn]] void fail() {
    if (thrown) std::rethrow_exception(std::exchange(thrown, nullptr));
    const char* why = ::archive_error_string(handle.get());
    throw Failure{Exit::data, fmt::format("the tar archive is damaged: {}", why != nullptr ? why : "unreadable")};
  }

  void open() {
    handle.reset(::archive_read_new());
    ::archive_read_support_format_tar(handle.get());
    ::archive_read_support_format_empty(handle.get());
    ::archive_read_support_filter_gzip(handle.get());
    if (::archive_read_open(handle.get(), this, nullptr, &State::fill, nullptr) != ARCHIVE_OK) fail();
  }
};

TarReader::TarReader(ByteSource source) : state_{std::make_unique<State>()} { state_->source = std::move(source); }
TarReader::~TarReader() = default;

namespace {

// A name that is not UTF-8 has no UTF-8 form, one that is may have no form in the locale.
std::string either(const char* utf8, const char* bytes) {
  if (utf8 != nullptr) return utf8;
  return bytes != nullptr ? bytes : "";
}

}  // namespace

std::optional<TarEntry> TarReader::next() {
  if (!state_->handle) state_->open();
  archive_entry* header = nullptr;
  const int result = ::archive_read_next_header(state_->handle.get(), &header);
  if (result == ARCHIVE_EOF) return std::nullopt;
  if (result < ARCHIVE_WARN) state_->fail();
  TarEntry entry;
  entry.path = either(::archive_entry_pathname_utf8(header), ::archive_entry_pathname(header));
  entry.mode = ::archive_entry_perm(header);
  entry.mtime = ::archive_entry_mtime(header);
  entry.mtime_ns = static_cast<std::uint32_t>(::archive_entry_mtime_nsec(header));
  entry.uid = static_cast<std::uint32_t>(::archive_entry_uid(header));
  entry.gid = static_cast<std::uint32_t>(::archive_entry_gid(header));
  entry.size = static_cast<std::uint64_t>(::archive_entry_size(header));
  entry.kind = TarEntry::Kind::other;
  if (const auto target = either(::archive_entry_hardlink_utf8(header), ::archive_entry_hardlink(header)); !target.empty()) {
    entry.kind = TarEntry::Kind::hardlink;
    entry.link_target = target;
    entry.size = 0;
  } else {
    switch (::archive_entry_filetype(header)) {
      case AE_IFREG:
        entry.kind = TarEntry::Kind::file;
        break;
      case AE_IFDIR:
        entry.kind = TarEntry::Kind::directory;
        break;
      case AE_IFLNK:
        entry.kind = TarEntry::Kind::symlink;
        entry.link_target = either(::archive_entry_symlink_utf8(header), ::archive_entry_symlink(header));
        break;
      default:
        break;
    }
  }
  state_->block = {};
  state_->at = 0;
  state_->size = entry.kind == TarEntry::Kind::file ? entry.size : 0;
  state_->ended = false;
  return entry;
}

// archive_read_data() stops at a hole that begins a file and at one that ends it.
std::size_t TarReader::read(char* into, std::size_t size) {
  auto& state = *state_;
  while (!state.ended && state.block.bytes.empty()) {
    if (auto next = next_block()) state.block = *next;
    else state.ended = true;
  }
  const auto hole_until = state.ended ? state.size : state.block.offset;
  if (state.at < hole_until) {
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(size, hole_until - state.at));
    std::memset(into, 0, count);
    state.at += count;
    return count;
  }
  const auto count = state.block.bytes.copy(into, size);
  state.block.bytes.remove_prefix(count);
  state.block.offset += count;
  state.at += count;
  return count;
}

std::optional<TarReader::Block> TarReader::next_block() {
  const void* bytes = nullptr;
  std::size_t size = 0;
  la_int64_t offset = 0;
  const int result = ::archive_read_data_block(state_->handle.get(), &bytes, &size, &offset);
  if (result == ARCHIVE_EOF) return std::nullopt;
  if (result < ARCHIVE_WARN) state_->fail();
  return Block{{static_cast<const char*>(bytes), size}, static_cast<std::uint64_t>(offset)};
}

std::vector<TarEntry> read_tar(ByteSource source, std::uint64_t most_bytes) {
  TarReader reader{std::move(source)};
  std::vector<TarEntry> entries;
  std::uint64_t total = 0;
  std::array<char, 65536> chunk;
  while (auto entry = reader.next()) {
    if (entry->kind == TarEntry::Kind::file) {
      while (const auto count = reader.read(chunk.data(), chunk.size())) {
        total += count;
        if (total > most_bytes) {
          throw Failure{Exit::data, fmt::format("the tar archive has more than {} bytes", most_bytes)};
        }
        entry->content.append(chunk.data(), count);
      }
    }
    entries.push_back(std::move(*entry));
  }
  return entries;
}

ByteSource bytes_of(std::string_view text) {
  return [text](char* into, std::size_t size) mutable {
    const auto count = text.copy(into, size);
    text.remove_prefix(count);
    return count;
  };
}

namespace {

// Holds at most one header and one chunk of content at a time.
class TarStream {
 public:
  explicit TarStream(TarProducer next) : next_{std::move(next)}, handle_{writer_into(bytes_)} {}
  ~TarStream() {
    // Else libarchive complains into the string about the entry that was cut short.
    if (handle_) ::archive_write_fail(handle_.get());
  }

  std::size_t read(char* into, std::size_t size) {
    while (bytes_.empty() && !ended_) produce();
    const auto count = bytes_.copy(into, size);
    bytes_.erase(0, count);
    return count;
  }

 private:
  void produce() {
    if (left_ == 0) {
      content_ = nullptr;
      TarEntry entry;
      if (!next_(entry, content_)) {
        ::archive_write_close(handle_.get());
        ended_ = true;
        return;
      }
      if (!content_ && entry.kind == TarEntry::Kind::file) entry.size = 0;
      left_ = entry.kind == TarEntry::Kind::file ? entry.size : 0;
      path_ = entry.path;
      write_header(handle_.get(), entry, left_);
      at_ = 0;
      holes_ = entry.kind == TarEntry::Kind::file ? holes_between(entry) : std::deque<TarExtent>{};
      return;
    }
    if (!holes_.empty() && holes_.front().offset == at_) {
      pass_hole(holes_.front().size);
      holes_.pop_front();
      return;
    }
    const auto until = holes_.empty() ? left_ : std::min(left_, holes_.front().offset - at_);
    std::array<char, 65536> chunk;
    const auto count = content_(chunk.data(), static_cast<std::size_t>(std::min<std::uint64_t>(until, chunk.size())));
    if (count == 0) throw Failure{Exit::data, fmt::format("\"{}\" became shorter while it was read", path_)};
    ::archive_write_data(handle_.get(), chunk.data(), count);
    left_ -= count;
    at_ += count;
  }

  static std::deque<TarExtent> holes_between(const TarEntry& entry) {
    std::deque<TarExtent> holes;
    if (!entry.extents) return holes;
    std::uint64_t at = 0;
    for (const auto& extent : *entry.extents) {
      if (extent.offset > at) holes.push_back({at, extent.offset - at});
      at = extent.offset + extent.size;
    }
    if (entry.size > at) holes.push_back({at, entry.size - at});
    return holes;
  }

  // libarchive wants to be given their bytes too, and stores none of them.
  void pass_hole(std::uint64_t size) {
    static const std::string zeros(1U << 20U, '\0');
    for (auto left = size; left > 0;) {
      const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(left, zeros.size()));
      ::archive_write_data(handle_.get(), zeros.data(), count);
      left -= count;
    }
    left_ -= size;
    at_ += size;
  }

  TarProducer next_;
  std::string bytes_;
  ArchiveHandle handle_;
  ByteSource content_;
  std::string path_;
  std::uint64_t left_{0}, at_{0};
  std::deque<TarExtent> holes_;  // of the current file, from at_ on
  bool ended_{false};
};

}  // namespace

ByteSource tar_stream(TarProducer next) {
  auto stream = std::make_shared<TarStream>(std::move(next));
  return [stream](char* into, std::size_t size) { return stream->read(into, size); };
}

}  // namespace codops::io
