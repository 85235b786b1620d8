#pragma once
// A statement that failed, as people and machines are told: file, line, column, the statement with a caret, and all that
// the server said.
#include <optional>
#include <string>
#include <vector>

#include "lib/io/postgres.hpp"
#include "lib/migrate/mode.hpp"

namespace codops::migrate {

struct ScriptError {
  std::string migration, path;
  std::size_t line{}, column{};
  std::string statement;             // its first lines
  std::vector<std::string> excerpt;  // the line at fault and, when the server gave a position, one with a caret below
  io::postgres::Diagnostic diagnostic;
  std::string state;                 // what is true now: "rolled back, nothing of it stays"
};

// `statement`: index into script.statements; `base`: offset in script.text that the diagnostic's position counts from.
ScriptError locate(const Migration& migration, const Script& script, std::size_t statement, std::size_t base,
                   const io::postgres::Diagnostic& diagnostic);

std::string to_text(const ScriptError& error);  // several lines, without "error: "
std::string to_log(const ScriptError& error);   // the same for a table: no character of codops' own that a database in LATIN1 can't have
std::string to_json(const ScriptError& error);

// Control characters as \\x0a and the like: what comes from a database or a disk must not move a terminal's cursor, or begin a line of its own.
std::string printable(std::string_view text);

// A name as it is typed in a shell: quoted when it has to be.
std::string shell_word(std::string_view name);

class MigrationFailed final : public Failure {
 public:
  MigrationFailed(Exit code, ScriptError error, std::string hint);
  const ScriptError& error() const noexcept { return error_; }

 private:
  ScriptError error_;
};

}  // namespace codops::migrate
