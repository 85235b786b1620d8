#pragma once
// Putting a restored database into the place of the live one, and back. All that happens to the live one is a rename,
// in one transaction.
#include <optional>
#include <string>
#include <vector>

#include "lib/backup/manifest.hpp"
#include "lib/io/postgres.hpp"
#include "lib/base/clock.hpp"
#include "lib/base/failure.hpp"

namespace codops::backup {

// "20261123_101500_250": sorts by time, and names all that one restore puts aside. To the millisecond, because two restores of a small
// database fit into a second.
inline constexpr std::size_t stamp_length = 19;
std::string stamp_of(WallTime time);
bool is_stamp(std::string_view text);  // of a time that there is
// At most 63 bytes: "shop" + "_before_20261123_101500_250".
std::string side_name(std::string_view database, std::string_view word, WallTime time);

// How a database is made; empty: as the server does it.
struct DatabaseShape {
  std::string encoding, collate, ctype, owner;
  LocaleProvider locale{};
  std::string tablespace;
};
DatabaseShape shape_of(const DatabaseIdentity& identity);
// New and empty. Failure{failed} when the name is taken.
void create_database(io::postgres::Connection& server, const std::string& name, const DatabaseShape& shape,
                     const Limits& limits);
DatabaseShape shape_of(io::postgres::Connection& server, const std::string& database, const Limits& limits);
bool database_exists(io::postgres::Connection& server, const std::string& name, const Limits& limits);
// There is one of that name, and this role may create in it.
bool tablespace_usable(io::postgres::Connection& server, const std::string& name, const Limits& limits);
// One that is ours: its subscriptions, which PostgreSQL would not let go, are removed first; their slots at the publisher stay.
void drop_database(io::postgres::Connection& server, const std::string& name, const Limits& limits);
// Its own, without a note of half_restored.hpp or passed.hpp.
std::string comment_of(io::postgres::Connection& server, const std::string& database, const Limits& limits);
std::string whole_comment_of(io::postgres::Connection& server, const std::string& database, const Limits& limits);

// Ends the sessions of `database` that our role may end; autovacuum's workers leave by themselves. Those that stay, in words:
// "session 4711 of postgres".
std::vector<std::string> end_sessions(io::postgres::Connection& server, const std::string& database, const Limits& limits);
// What to tell when some stay.
Failure sessions_stay(const io::postgres::Connection& server, const std::string& database, const std::vector<std::string>& staying);

// New sessions of the database can't write, present ones are ended. Failure{failed}: some could not be, and might go on writing.
inline constexpr std::string_view read_only_setting = "default_transaction_read_only";
bool is_read_only(io::postgres::Connection& server, const std::string& database, const Limits& limits);
void make_read_only(io::postgres::Connection& server, const std::string& database, const Limits& limits);
void make_writable(io::postgres::Connection& server, const std::string& database, const Limits& limits);

// The comment of a database while something is done that a death must not leave so.
struct Mark {
  std::string live;       // closed for a moment, perhaps read-only
  bool read_only{};       // by us
  bool drop{true};        // false: it is a good database, with this comment of its own
  std::string comment{};
};
void mark(io::postgres::Connection& server, const std::string& name, const Mark& mark, const Limits& limits);
// How the session of a drill is called that is idle in its database as long as the drill lives.
inline constexpr auto drill_application = "codops drill";
// Takes back what restores and drills of dead processes left on the server: databases that were being filled, live ones that
// are closed or read-only. Returns what was done, for people. `live` empty: of every database.
std::vector<std::string> mend_restores(io::postgres::Connection& server, const std::string& live, const Limits& limits);

// live → aside, fresh → live. Sessions of both are ended. On any failure the live one is as it was and takes
// connections again, else Failure{undo_failed} says that it could not be reached to be opened. `fresh` is marked.
struct Swap {
  std::string live, fresh, aside;
  std::string comment;       // of `fresh` from then on, instead of its mark
  bool reset_read_only{};    // of `live`
  std::string also{};        // statements of the same transaction
};
void swap_databases(io::postgres::Connection& server, const Swap& swap, const Limits& limits);

// The databases that restores of `live` put aside ("before"), or their undoing ("undone"), newest first.
std::vector<std::string> all_put_aside(io::postgres::Connection& server, const std::string& live, std::string_view word, const Limits& limits);
inline constexpr std::string_view database_before = "before", database_undone = "undone";
inline std::string stamp_in(std::string_view side_name) { return std::string{side_name.substr(side_name.size() - stamp_length)}; }
// "20261123_101500_250" as people read it: "2026-11-23 10:15:00 UTC".
std::string stamp_text(std::string_view stamp);

}  // namespace codops::backup
