// Dump files of plain pg_dump: custom archives, SQL, compressed SQL.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "lib/backup/load.hpp"
#include "lib/backup/sql_script.hpp"
#include "lib/base/failure.hpp"
#include "lib/io/compression.hpp"

namespace codops::backup {
namespace {

constexpr std::string_view trailer = "-- PostgreSQL database dump complete";

class PlainFile final : public io::Reader {
 public:
  explicit PlainFile(const std::filesystem::path& path) : path_{path}, fd_{::open(path.c_str(), O_RDONLY | O_CLOEXEC)} {
    if (!fd_) throw Failure{Exit::usage, fmt::format("cannot read \"{}\": {}", path.string(), std::strerror(errno))};
  }
  std::size_t read(char* into, std::size_t size) override {
    ssize_t got = 0;
    do {
      got = ::read(fd_.get(), into, size);
    } while (got < 0 && errno == EINTR);
    if (got < 0) throw Failure{Exit::data, fmt::format("cannot read \"{}\": {}", path_.string(), std::strerror(errno))};
    return static_cast<std::size_t>(got);
  }

 private:
  std::filesystem::path path_;
  io::Fd fd_;
};

// The SQL inside, whatever it is packed in.
class SqlFile final : public io::Reader {
 public:
  explicit SqlFile(const std::filesystem::path& path) : plain_{path}, peek_{plain_} {
    const auto packing = io::packing_of(peek_.peek(4));
    if (packing == io::Packing::gzip) unpacked_ = std::make_unique<io::GzipReader>(peek_);
    if (packing == io::Packing::zstd) unpacked_ = std::make_unique<io::ZstdReader>(peek_);
  }
  std::size_t read(char* into, std::size_t size) override {
    return unpacked_ ? unpacked_->read(into, size) : peek_.read(into, size);
  }

 private:
  PlainFile plain_;
  io::PeekReader peek_;
  std::unique_ptr<io::Reader> unpacked_;
};

// Passes on, and keeps the end.
class EndKept final : public io::Reader {
 public:
  explicit EndKept(io::Reader& from) : from_{from} {}
  std::size_t read(char* into, std::size_t size) override {
    const auto got = from_.read(into, size);
    end_.append(into, got);
    if (end_.size() > 2 * kept) end_.erase(0, end_.size() - kept);
    return got;
  }
  const std::string& end() const { return end_; }

 private:
  static constexpr std::size_t kept = 4096;
  io::Reader& from_;
  std::string end_;
};

void check_sql(const std::filesystem::path& file) {
  SqlFile sql{file};
  EndKept passing{sql};
  try {
    SqlScript script{passing};
    while (script.next()) {
    }
  } catch (Failure& failure) {
    failure.add_context("\"" + file.string() + "\"");
    throw;
  }
  if (passing.end().find(trailer) == std::string::npos) {
    throw Failure{Exit::data, fmt::format("\"{}\" is cut off: the last line of pg_dump is missing", file.string())};
  }
}

DumpKind kind_of(const std::filesystem::path& file) {
  PlainFile plain{file};
  io::PeekReader peek{plain};
  const auto first = peek.peek(5);
  if (first == "PGDMP") return DumpKind::custom;
  switch (io::packing_of(first)) {
    case io::Packing::gzip:
      return DumpKind::gzip;
    case io::Packing::zstd:
      return DumpKind::zstd;
    case io::Packing::none:
      return DumpKind::plain;
  }
  return DumpKind::plain;
}

}  // namespace

DumpKind check_dump_file(const std::filesystem::path& file, Programs& programs, const Limits& limits) {
  const auto kind = kind_of(file);
  if (kind != DumpKind::custom) {
    check_sql(file);
    return kind;
  }
  // Listing alone passes files that are cut off; writing everything out reads them to the end.
  Call call{"pg_restore", {"--file=/dev/null", std::filesystem::absolute(file).string()}, {}};
  call.connects = false;
  programs.must(call, Exit::data, limits);
  return kind;
}

void load_file(const std::filesystem::path& file, DumpKind kind, const io::postgres::Target& into, Programs& programs,
               const LoadOptions& options, const Limits& limits) {
  if (kind == DumpKind::custom) {
    Call call{"pg_restore", {"--exit-on-error"}, into.database};
    if (options.no_owner) call.arguments.emplace_back("--no-owner");
    if (options.jobs > 1 && programs.parallel()) call.arguments.push_back(fmt::format("--jobs={}", options.jobs));
    call.arguments.push_back(std::filesystem::absolute(file).string());
    programs.must(call, Exit::failed, limits);
  } else {
    SqlFile sql{file};
    run_script(sql, into, limits);
  }
  if (options.analyze) io::postgres::Connection::open(into, limits).run("ANALYZE", limits);
}

}  // namespace codops::backup
