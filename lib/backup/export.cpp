#include "lib/backup/export.hpp"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <exception>
#include <thread>

#include "lib/backup/custom_archive.hpp"
#include "lib/base/failure.hpp"
#include "lib/io/byte_stream.hpp"

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

class PipeWriter final : public io::Writer {
 public:
  explicit PipeWriter(io::Fd fd) : fd_{std::move(fd)} {
    // The reader may stop first: that is its failure to tell, not a signal's.
    sigset_t pipe;
    ::sigemptyset(&pipe);
    ::sigaddset(&pipe, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
  }
  void write(std::string_view bytes) override { io::write_all(fd_.get(), bytes, "to pg_restore"); }
  void finish() override { fd_.reset(); }

 private:
  io::Fd fd_;
};

std::size_t read_pipe(int fd, char* into, std::size_t size) {
  for (;;) {
    const auto got = ::read(fd, into, size);
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno != EINTR) throw Failure{Exit::failed, "a pipe broke"};
  }
}

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
    io::copy(reader, out);
    return;
  }
  // One thread makes the archive, pg_restore reads it from the pipe and gives SQL.
  auto pipe = io::make_pipe();
  std::exception_ptr failure;
  std::jthread maker{[&] {
    try {
      PipeWriter writer{std::move(pipe.write)};
      export_custom(catalogue, manifest, keys, writer, limits);
    } catch (...) {
      failure = std::current_exception();
    }
  }};
  Call call{"pg_restore", {"--file=-"}, {}};
  call.connects = false;
  call.streams.in = [&](char* into, std::size_t size) { return read_pipe(pipe.read.get(), into, size); };
  call.streams.out = [&](std::string_view bytes) { out.write(bytes); };
  io::Outcome outcome;
  try {
    outcome = programs.run(call, limits);
  } catch (...) {
    pipe.read.reset();
    throw;
  }
  pipe.read.reset();
  maker.join();
  if (failure && outcome.status.success()) std::rethrow_exception(failure);
  if (!outcome.status.success()) {
    throw Failure{Exit::data, fmt::format("pg_restore {}: {}", outcome.status.text(), outcome.error_tail)};
  }
  out.finish();
}

}  // namespace codops::backup
