#pragma once
// A restore, or its undo, puts database, Redis and files in place one after the other. While it does, the comment of the live database
// says so: killed in between, what is live does not belong together, and no backup may pass it off as good.
#include <optional>
#include <string>

#include "lib/io/postgres.hpp"

namespace codops::backup {

struct HalfRestored {
  std::string source;   // of the restore: a label, or a file
  std::string comment;  // of the database, apart from that
  std::string stamp{};  // of the restore; empty: an earlier codops did not say
  bool undo{};          // it was being taken back

  std::string text(const std::string& live) const;               // what is the matter
  std::string remedy(const std::string& environment) const;      // what to type
};
std::string to_comment(const HalfRestored& half);
// The note in a database's comment; nullopt: it has none.
std::optional<HalfRestored> parse_half_restored(const std::string& comment);
std::optional<HalfRestored> half_restored(io::postgres::Connection& server, const std::string& live, const Limits& limits);
void set_comment(io::postgres::Connection& server, const std::string& database, const std::string& comment, const Limits& limits);

}  // namespace codops::backup
