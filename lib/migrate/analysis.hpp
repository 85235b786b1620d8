#pragma once
// What a statement locks, whom that keeps out, and for about how long, judged against the tables' real sizes.
// The lock of each statement: PostgreSQL documentation, 13.3 and the reference page of the statement.
#include <cstdint>
#include <map>
#include <set>
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
  std::vector<std::string> checked_not_null;          // columns that are NOT NULL, or have a valid CHECK that says so
  // The above is the sum with all partitions, and the tables that inherit from it; this is the table alone.
  std::uint64_t tables_below{};
  double own_rows{};
  std::uint64_t own_bytes{}, own_all_bytes{};
  bool partitioned{false}, indexed{false};
  Name parent, default_partition;                     // of which it is a partition; its own, else its parent's
  struct ForeignKey {
    std::string name;
    std::vector<std::string> columns;
    Name references;
  };
  std::vector<ForeignKey> foreign_keys;
  std::vector<ForeignKey> referenced_by;              // seen from the other side: its own columns, and the table that refers to them
  std::vector<Name> referencing;                      // those tables, each once
  std::vector<Name> emptied_along;                    // by TRUNCATE … CASCADE
  std::vector<std::string> rechecked, reindexed;      // columns whose new type means checking rows, building indexes, without a rewrite
};
using Tables = std::map<std::string, TableFacts>;  // by Name::shown()

struct TypeFacts {
  bool constrained{false};       // a domain with NOT NULL or CHECK: a new column of it writes every row
  bool volatile_default{false};  // a domain's
  std::vector<Name> tables;      // that have a column of it
};

// What was looked up for the statements at hand. What isn't in it counts as the worse.
struct Catalog {
  Tables tables;
  std::map<std::string, TypeFacts> types;      // by Name::shown()
  std::set<std::string> steady_functions;      // by Name::shown(): stable or immutable, or the server's own
  std::set<std::string> not_null_indexes;      // by Name::shown(): none of their columns can be NULL
};

struct Effect {
  Name table;
  Lock lock{Lock::none};
  Work work{Work::metadata};
  std::string what;  // "builds an index", "adds a column"
  bool alone{false}; // without the tables below it
};

// Pure. A name in `created` was made before in the same run: nobody else has it yet, so it is left out.
std::vector<Effect> effects_of(const Parsed& statement, const std::vector<Name>& created, const Catalog& catalog);
// What more it may do that can't be seen; empty: nothing. "calls f()", "EXECUTE in a DO block".
std::string unseen_in(const Parsed& statement, const Catalog& catalog);
// The columns that a CHECK's expression, as pg_get_expr() writes it, keeps from being NULL.
std::vector<std::string> columns_not_null_by(std::string_view check);
// Whether changing a column's type writes every row; "varchar(10)" to "text" does not.
bool type_change_rewrites(std::string_view from, std::string_view to);
// At 200 MB/s read, 40 MB/s indexed, 60 MB/s written: an order of magnitude on a busy server, not a promise.
Milliseconds estimate(Work work, const TableFacts& table);
TableFacts alone(TableFacts table);  // without the tables below it

// How well a time is known. How many rows a WHERE or a query finds, only the data knows.
enum class Known : std::uint8_t { about, at_most, at_least };

struct PlannedEffect {
  Effect effect;
  TableFacts table;
  Milliseconds held{};  // until the end of the transaction
  Known known{Known::about};
};
struct PlannedStatement {
  std::size_t line{};
  std::string excerpt;  // one line
  Milliseconds takes{};
  Known known{Known::about};
  std::vector<PlannedEffect> effects;
  std::string unseen;  // see unseen_in()
};
struct PlannedMigration {
  std::string name, path;
  bool transactional{true};
  std::string reason;  // why not
  std::vector<PlannedStatement> statements;
};

// Looks up what effects_of() asks for, each thing once. Reads only.
class CatalogReader {
 public:
  CatalogReader(io::postgres::Connection& connection, const Limits& limits) : connection_{connection}, limits_{limits} {}
  void look_for(Parsed& statement);     // fills in the table of an index
  // Tables that go, or lose columns, with what is dropped.
  std::vector<Name> dropped_with(const Parsed& statement);
  std::vector<Name> using_type_of(const Parsed& statement);
  void remember(const Parsed& statement, std::vector<Name>& created);  // what it changes for those behind it
  const Catalog& catalog() const { return catalog_; }

 private:
  void look_for_table(const Name& name);
  void look_for_related(const TableFacts& facts);
  void look_for_type(const Name& name);
  void look_for_function(const Name& name);
  void look_for_index(const Name& name);
  Name table_of_index(const Name& index);

  io::postgres::Connection& connection_;
  const Limits& limits_;
  Catalog catalog_;
  std::set<std::string> looked_;  // tables of which all is known, not only the size
};

bool has_table(io::postgres::Connection& connection, const Name& table, const Limits& limits);

// What apply() would run and what that means for others. Reads only. Indexes that are dropped are looked up for their table.
std::vector<PlannedMigration> plan(const std::vector<Migration>& pending, io::postgres::Connection& connection, bool allow_invalid_utf8,
                                   const Limits& limits);

std::string to_text(const std::vector<PlannedMigration>& plan);
std::string to_json(const std::vector<PlannedMigration>& plan);

}  // namespace codops::migrate
