#pragma once
// What a restore put aside is what --undo brings back, as long as that restore is the last one. Those put aside before are told so in
// their comments, in the same transaction: whatever is dropped later, none of them is taken for the last one's.
#include <optional>
#include <string>

#include "lib/io/postgres.hpp"

namespace codops::backup {

struct Passed {
  std::string by;        // stamp of the restore, or of the undo, that came after
  bool undo{};
  bool database{};       // a restore of the database, and not of Redis and files alone
  std::string comment{}; // of the database, apart from that
};
std::string to_comment(const Passed& passed);
// The note in a database's comment; nullopt: it has none.
std::optional<Passed> parse_passed(const std::string& comment);

// Statements that say so of all that restores of `live` put aside, `but` one; `back`: as it was. What our role may not
// comment on is left out.
struct Passing {
  std::string sql, back;
};
Passing pass_by(io::postgres::Connection& server, const std::string& live, const Passed& by, const std::string& but, const Limits& limits);

}  // namespace codops::backup
