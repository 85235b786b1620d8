#pragma once
// A file that pg_dump wrote without codops: custom, SQL, compressed SQL.
#include <filesystem>
#include <string>

#include "lib/backup/dump_needs.hpp"
#include "lib/backup/load.hpp"
#include "lib/io/process.hpp"

namespace codops::backup {

// Open from its check to its end, and compared with what it was then: what is restored is what was checked, whoever writes to it.
class DumpFile {
 public:
  // Failure{usage}: it can't be read, or not twice (a pipe).
  explicit DumpFile(const std::filesystem::path& path);

  // Reads it to its end before anything is written anywhere: Failure{data} when it is not whole.
  void check(Programs& programs, const Limits& limits);
  const DumpNeeds& needs() const { return needs_; }
  // Into an empty database. Failure{data}: it has changed since.
  void load(const io::postgres::Target& into, Programs& programs, const LoadOptions& options, const Limits& limits);

 private:
  enum class Kind { custom, sql };
  void look();
  void check_sql();
  void check_custom(Programs& programs, const Limits& limits);
  Failure changed() const;
  std::string digest(const Limits& limits) const;

  std::string name_;  // quoted, for messages
  io::Fd fd_;
  Kind kind_{Kind::sql};
  std::string digest_;  // of all of it, as it was checked
  Pieces pieces_;       // the same, of SQL
  DumpNeeds needs_;
};

}  // namespace codops::backup
