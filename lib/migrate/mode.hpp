#pragma once
// Can a script run in one transaction together with its history row? And is it fit to run at all?
#include <string>
#include <vector>

#include "lib/migrate/source.hpp"
#include "lib/migrate/splitter.hpp"
#include "lib/migrate/statement.hpp"

namespace codops::migrate {

// A script made ready to run: text without BOM, split and read.
struct Script {
  std::string path;              // for messages
  std::size_t first_line{1};
  std::string text;
  std::vector<Statement> statements;  // those that are not empty
  std::vector<Parsed> parsed;         // one for each statement
  bool transactional{true};
  std::string reason;                 // why not: "line 3: CREATE INDEX CONCURRENTLY can't run in a transaction"
  bool apart{false};  // sent one by one: COPY has data, or a setting says how the server reads the text behind it

  Position where(std::size_t offset) const;            // inside the file
  std::string place(std::size_t offset) const;         // "20240101_x/migration.sql:3:8"
};

// For a file that was meant as one transaction and runs statement by statement: SET LOCAL lasts until its end, as a SET.
void keep_local_settings(Script& script);

// Failure{data}: a NUL byte, bytes that are no UTF-8 (unless allowed: they become U+FFFD), a psql command, a placeholder of Flyway, a BEGIN that is never ended, a folder
// without a script (P3015).
// `escapes`: the database's default for standard_conforming_strings is off.
Script prepare(const Migration& migration, bool allow_invalid_utf8, bool escapes = false);
Script prepare_down(const Migration& migration, bool allow_invalid_utf8, bool escapes = false);

}  // namespace codops::migrate
