#pragma once
// A plain SQL dump as it streams by, statement by statement, the rows of COPY apart. codops reads it itself and not psql: psql takes
// commands of its own in it (`\! …`, `\o |…`), which whoever can write the file would run here, and only some of its releases can be
// told not to (\restrict).
#include <cstddef>
#include <functional>
#include <optional>
#include <string>

#include "lib/base/cancel.hpp"
#include "lib/io/byte_stream.hpp"
#include "lib/io/postgres.hpp"

namespace codops::backup {

// Left out are pg_dump's \restrict and \unrestrict, and what `pg_dump --create` adds: statements about the database itself (it is
// made, filled and swapped under other names here) and the one \connect into it; BEGIN and COMMIT too, as it runs in transactions
// of ours. Failure{data}, with the line: any other command of psql, any other control of transactions, a \connect into another database
// (pg_dumpall's), an end inside a statement or rows, text of which quotes can't be told apart for sure.
class SqlScript {
 public:
  // `passed`: gets all that was gone through, byte for byte, but for what of BEGIN and COMMIT is left out; whoever reads on empties it.
  explicit SqlScript(io::Reader& from, std::string* passed = nullptr) : from_{from}, passed_{passed} {}

  struct Statement {
    std::string sql;
    std::size_t line{};
    bool copies{};  // rows() has what it reads
  };
  std::optional<Statement> next();  // nullopt at the end; rows that nobody asked for are passed over
  std::size_t rows(char* into, std::size_t size);  // 0 at their end

 private:
  enum class Found { statement, skipped, more, nothing };
  Found scan(Statement& statement);
  void command(std::string_view line);
  bool grow();
  void consume(std::size_t until);
  void pass(std::size_t until);
  void begin_rows();
  [[noreturn]] void refuse(const std::string& why, const std::string& hint = {}) const;

  io::Reader& from_;
  std::string text_;  // what was read and not yet handed out begins at at_
  std::size_t at_{}, line_{1};
  std::string* passed_;
  std::size_t last_size_{};  // of the last statement, with its semicolon
  std::string connected_;  // the line that does so
  bool ended_{}, copying_{}, inside_row_{};
};

// pg_dump's own SQL, byte for byte but for the BEGIN and COMMIT that it puts around large objects: they stand around all of it instead.
void as_one_transaction(io::Reader& sql, io::Writer& out);

struct ScriptWays {
  bool no_owner{};                        // ALTER … OWNER TO and SET SESSION AUTHORIZATION are left out, as pg_restore --no-owner does
  bool no_tablespaces{};                  // SET default_tablespace too
  std::function<void(std::string_view copy)> copies{};  // told of each COPY … FROM stdin
  std::function<void()> before_commit{};  // of the last statements; may throw
};
// All of it into an empty database, in a few transactions: after a failure that database is to be dropped. What the server refuses is told with its line. The DROPs of pg_dump --clean
// may find nothing.
void run_script(io::Reader& sql, const io::postgres::Target& into, const ScriptWays& ways, const Limits& limits);

}  // namespace codops::backup
