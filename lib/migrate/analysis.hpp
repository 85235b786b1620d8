#pragma once
// What a statement locks, whom that keeps out, and for about how long, judged against the tables' real sizes.
// The lock of each statement: PostgreSQL documentation, 13.3 and the reference page of the statement.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "lib/io/postgres.hpp"
#include "lib/migrate/migrate.hpp"
#include "lib/migrate/mode.hpp"

namespace codops::migrate {

enum class Lock : std::uint8_t {
  none, access_share, row_share, row_exclusive, share_update_exclusive, share, share_row_exclusive, exclusive, access_exclusive
};
std::string_view name_of(Lock lock);      // "ACCESS EXCLUSIVE"
std::string_view blocked_by(Lock lock);   // "reads and writes", "writes", "other schema changes", ""

// What happens while the lock is held.
enum class Work : std::uint8_t { metadata, rows, scan, build, rewrite };
std::string_view name_of(Work work);

struct TableFacts {
  bool exists{false};
  double rows{};             // the planner's estimate; below 0: it has none, the table was never analysed
  std::uint64_t bytes{};     // of the table itself
  std::uint64_t all_bytes{}; // with indexes and TOAST
  std::map<std::string, std::string> column_types;    // as format_type() writes them
  std::vector<std::string> checked_not_null;          // columns with a valid CHECK (… IS NOT NULL)
};
using Tables = std::map<std::string, TableFacts>;  // by Name::shown()

struct Effect {
  Name table;
  Lock lock{Lock::none};
  Work work{Work::metadata};
  std::string what;  // "builds an index", "adds a column"
};

// Pure. A name in `created` was made before in the same run: nobody else has it yet, so it is left out.
std::vector<Effect> effects_of(const Parsed& statement, const std::vector<Name>& created, const Tables& tables);
// Whether changing a column's type writes every row; "varchar(10)" to "text" does not.
bool type_change_rewrites(std::string_view from, std::string_view to);
// At 200 MB/s read, 40 MB/s indexed, 60 MB/s written: an order of magnitude on a busy server, not a promise.
Milliseconds estimate(Work work, const TableFacts& table);

struct PlannedEffect {
  Effect effect;
  TableFacts table;
  Milliseconds held{};  // until the end of the transaction
};
struct PlannedStatement {
  std::size_t line{};
  std::string excerpt;  // one line
  Milliseconds takes{};
  std::vector<PlannedEffect> effects;
};
struct PlannedMigration {
  std::string name, path;
  bool transactional{true};
  std::string reason;  // why not
  std::vector<PlannedStatement> statements;
};

// What apply() would run and what that means for others. Reads only. Indexes that are dropped are looked up for their table.
std::vector<PlannedMigration> plan(const std::vector<Migration>& pending, io::postgres::Connection& connection, bool allow_invalid_utf8,
                                   const Limits& limits);

std::string to_text(const std::vector<PlannedMigration>& plan);
std::string to_json(const std::vector<PlannedMigration>& plan);

}  // namespace codops::migrate
