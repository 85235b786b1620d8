#include "lib/backup/dump_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "lib/backup/load.hpp"
#include "lib/backup/session.hpp"
#include "lib/backup/sql_script.hpp"
#include "lib/base/failure.hpp"
#include "lib/io/compression.hpp"
#include "lib/io/crypto.hpp"
#include "lib/text/printable.hpp"

namespace codops::backup {
namespace {

constexpr std::string_view trailer = "-- PostgreSQL database dump complete";

// From the beginning, wherever others who read the same descriptor are; hashed on the way.
class Raw final : public io::Reader {
 public:
  Raw(int fd, const std::string& name, Pieces* pieces = nullptr) : fd_{fd}, name_{name}, pieces_{pieces} {}
  std::size_t read(char* into, std::size_t size) override {
    ssize_t got = 0;
    do {
      got = ::pread(fd_, into, size, at_);
    } while (got < 0 && errno == EINTR);
    if (got < 0) throw Failure{Exit::data, fmt::format("cannot read {}: {}", name_, std::strerror(errno))};
    at_ += got;
    sha_.update({into, static_cast<std::size_t>(got)});
    if (pieces_ != nullptr) pieces_->feed({into, static_cast<std::size_t>(got)});
    return static_cast<std::size_t>(got);
  }
  // Of all of it, with what nobody asked for (behind the end of what was compressed). Ends it.
  std::string digest() {
    std::string buffer(1U << 20U, '\0');
    while (read(buffer.data(), buffer.size()) > 0) {
    }
    if (pieces_ != nullptr) pieces_->finish();
    return sha_.hex();
  }

 private:
  int fd_;
  const std::string& name_;
  Pieces* pieces_;
  off_t at_{};
  io::Sha256 sha_;
};

// The SQL inside, whatever it is packed in; its beginning and its end are kept.
class Sql final : public io::Reader {
 public:
  explicit Sql(io::Reader& raw) : peek_{raw} {
    const auto packing = io::packing_of(peek_.peek(4));
    if (packing == io::Packing::gzip) unpacked_ = std::make_unique<io::GzipReader>(peek_);
    if (packing == io::Packing::zstd) unpacked_ = std::make_unique<io::ZstdReader>(peek_);
  }
  std::size_t read(char* into, std::size_t size) override {
    const auto got = unpacked_ ? unpacked_->read(into, size) : peek_.read(into, size);
    if (begin_.size() < kept) begin_.append(into, std::min(got, kept - begin_.size()));
    end_.append(into, got);
    if (end_.size() > 2 * kept) end_.erase(0, end_.size() - kept);
    return got;
  }
  const std::string& begin() const { return begin_; }
  const std::string& end() const { return end_; }

 private:
  static constexpr std::size_t kept = 4096;
  io::PeekReader peek_;
  std::unique_ptr<io::Reader> unpacked_;
  std::string begin_, end_;
};

}  // namespace

DumpFile::DumpFile(const std::filesystem::path& path)
    : name_{'"' + text::printable(path.string(), 200) + '"'}, fd_{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)} {
  if (!fd_) throw Failure{Exit::usage, fmt::format("cannot read {}: {}", name_, std::strerror(errno))};
  struct stat about {};
  if (::fstat(fd_.get(), &about) == 0 && S_ISDIR(about.st_mode)) {
    throw Failure{Exit::usage, fmt::format("{} is a folder, and a dump that can be restored here is one file: pg_dump's custom format, or SQL", name_),
                  "of a folder made by pg_dump -Fd: pg_restore -Fd -f FILE.sql FOLDER"};
  }
  if (::fstat(fd_.get(), &about) != 0 || !S_ISREG(about.st_mode)) {
    throw Failure{Exit::usage, fmt::format("{} is no regular file, and a dump is read twice: before anything is written, and then into the database", name_), "write it to a file first"};
  }
  look();
}

void DumpFile::look() {
  Raw raw{fd_.get(), name_};
  io::PeekReader peek{raw};
  const auto first = peek.peek(512);
  const auto refuse = [&](const char* what, const std::string& hint) { throw Failure{Exit::data, fmt::format("{} is {}", name_, what), hint}; };
  if (first.starts_with("PGDMP")) kind_ = Kind::custom;
  if (first.size() > 262 && first.substr(257, 5) == "ustar") refuse("a tar archive (pg_dump -Ft?)", "make a custom one: pg_dump -Fc DATABASE > FILE");
  if (first.starts_with("BZh")) refuse("compressed by bzip2", "bunzip2 it first");
  if (first.starts_with("\xfd" "7zXZ")) refuse("compressed by xz", "unxz it first");
  if (first.starts_with("\xef\xbb\xbf")) refuse("SQL behind a byte order mark, which pg_dump does not write", "take it away: sed '1s/^\\xef\\xbb\\xbf//' FILE > NEW");
  if (first.starts_with("\xff\xfe") || first.starts_with("\xfe\xff")) refuse("UTF-16 text, as a redirection in PowerShell makes of it", "iconv -f UTF-16 -t UTF-8 FILE > NEW, or pg_dump --file");
}

void DumpFile::check(Programs& programs, const Limits& limits) {
  kind_ == Kind::custom ? check_custom(programs, limits) : check_sql();
}

void DumpFile::check_sql() {
  Raw raw{fd_.get(), name_, &pieces_};
  Sql sql{raw};
  try {
    SqlScript script{sql};
    while (const auto statement = script.next()) needs_.statement(statement->sql);
  } catch (Failure& failure) {
    failure.add_context(name_);
    throw;
  }
  if (sql.end().find(trailer) == std::string::npos) throw Failure{Exit::data, fmt::format("{} is cut off: the last line of pg_dump is missing", name_)};
  needs_.begins(sql.begin());
  digest_ = raw.digest();
}

void DumpFile::check_custom(Programs& programs, const Limits& limits) {
  digest_ = digest(limits);
  Call call{"pg_restore", {"--file=/dev/null", "{file}"}};
  call.descriptor = fd_.get();
  call.connects = false;
  // Listing alone passes files that are cut off; writing everything out reads them to the end.
  programs.must(call, Exit::data, limits);
  constexpr std::size_t enough = 64U << 20U;
  std::string definitions;
  call.arguments = {"--schema-only", "--file=-", "{file}"};
  call.streams.out = [&](std::string_view bytes) {
    if (definitions.size() < enough) definitions.append(bytes);
  };
  programs.must(call, Exit::data, limits);
  needs_.begins(std::string_view{definitions}.substr(0, 4096));
  try {
    io::TextReader reader{definitions};
    SqlScript script{reader};
    while (const auto statement = script.next()) needs_.statement(statement->sql);
  } catch (const Failure&) {
    // Only codops reads it so; pg_restore, which restores it, has read it whole. What was seen is looked at.
  }
}

std::string DumpFile::digest(const Limits& limits) const {
  limits.check("the dump's checksum");
  return Raw{fd_.get(), name_}.digest();
}

Failure DumpFile::changed() const {
  return {Exit::data, fmt::format("{} has changed since it was checked; nothing of it is kept", name_), "restore it when nobody writes to it any more"};
}

void DumpFile::load(const io::postgres::Target& into, Programs& programs, const LoadOptions& options, const Limits& limits) {
  if (kind_ == Kind::custom) {
    // `pg_dump -n public` makes that schema, which every new database has.
    Call call{"pg_restore", {"--exit-on-error"}, into.database};
    {
      auto connection = open_session(into, limits);
      if (needs_.makes_public()) connection.run("DROP SCHEMA IF EXISTS public", limits);
      call.session = lasting_options(connection, limits);
    }
    if (options.no_owner) call.arguments.emplace_back("--no-owner");
    if (options.no_tablespaces) call.arguments.emplace_back("--no-tablespaces");
    if (const int jobs = jobs_possible(into, options.jobs, limits); jobs > 1 && programs.parallel()) call.arguments.push_back(fmt::format("--jobs={}", jobs));
    call.arguments.emplace_back("{file}");
    call.descriptor = fd_.get();
    programs.must(call, Exit::failed, limits);
    if (digest(limits) != digest_) throw changed();
  } else {
    Raw raw{fd_.get(), name_};
    // Nothing runs that was not there at its check, and nothing stays unless all of it still is.
    SameReader same{raw, pieces_, [&] { return changed(); }};
    Sql sql{same};
    const auto whole = [&] {
      std::string rest(1U << 20U, '\0');
      while (same.read(rest.data(), rest.size()) > 0) {
      }
    };
    run_script(sql, into, {options.no_owner, options.no_tablespaces, {}, whole}, limits);
  }
  if (options.analyze) analyze(into, limits);
}

}  // namespace codops::backup
