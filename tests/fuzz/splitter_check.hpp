#pragma once
// What must hold of any text, for the fuzzer and for the unit tests' short deterministic run of it.
#include <algorithm>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "lib/migrate/lint.hpp"
#include "lib/migrate/splitter.hpp"

namespace codops::tests {

// The pieces joined are the text again, their marks lie inside of them, and neither reading the statements nor judging the script does
// anything worse than a Failure. Throws std::logic_error.
inline void check_splitter(const std::string& text) {
  const auto require = [](bool holds, const char* what) {
    if (!holds) throw std::logic_error{what};
  };
  std::string joined;
  for (const auto& statement : migrate::split(text)) {
    require(statement.begin == joined.size(), "a piece begins where the one before ends");
    joined += statement.piece(text);
    require(statement.begin <= statement.start && statement.start <= statement.stop && statement.stop <= statement.end && statement.begin < statement.end,
            "marks lie inside");
    if (statement.has_data()) {
      require(statement.stop <= statement.data_begin && statement.data_begin <= statement.data_end && statement.data_end <= statement.end, "data lies inside");
    }
    if (!statement.empty()) {
      const auto sql = statement.sql(text);
      migrate::parse(sql);
      const auto again = migrate::split(sql);
      if (statement.complete && statement.backslash == migrate::Statement::none) {
        require(again.size() == 1 && again.front().sql(sql) == sql, "what is sent is one statement");
      }
    }
    require(migrate::position_of(text, statement.start).line >= 1, "a line is counted from 1");
  }
  require(joined == text, "the pieces joined are the text");
  migrate::Migration migration;
  migration.name = migration.path = "m";
  migration.script = text;
  migrate::to_sarif(migrate::lint(migration), "", "1");
}

// Pieces of SQL in which a splitter may go wrong.
inline const std::vector<std::string>& splitter_seeds() {
  static const std::vector<std::string> seeds{
      "SELECT E'a\\';'; SELECT U&\"x;\" /* /* ; */ */; -- c\n",
      "DO $$ BEGIN; END $$; DO $x$ $$;$$ $x$",
      "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN 1=1 THEN 2 END; END;",
      "COPY t FROM stdin;\n1\t;\n\\.\nSELECT 1;\n\\set x\n",
      "ALTER TABLE t ADD a int DEFAULT f(1, (2)), DROP b, ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES u(b) NOT VALID;",
      "CREATE TABLE IF NOT EXISTS \"A\"\"b\".c (i int, CHECK (i > 0), LIKE d INCLUDING ALL) PARTITION BY LIST (i);",
      "-- codops-lint: allow drop-table because x\nDROP TABLE a, b CASCADE;",
      "VACUUM (FULL, ANALYZE) a; REINDEX (CONCURRENTLY) TABLE b; ALTER TYPE e ADD VALUE 'x';",
      "CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT 2);",
      "BEGIN; SET LOCAL x = 'y'; COMMIT; CREATE UNIQUE INDEX CONCURRENTLY i ON t USING btree (a, lower(b)) WHERE c;",
      "\xEF\xBB\xBFSELECT '\xC3\xA4\xFF';\r\nSELECT B'01' X'ff' N'n'\n'o';"};
  return seeds;
}

// One change of a text: a piece taken out, doubled or put in, or a byte changed.
inline std::string mutated(std::string text, std::mt19937& random) {
  const auto below = [&](std::size_t end) { return end == 0 ? 0 : static_cast<std::size_t>(random()) % end; };
  static const std::vector<std::string> tokens{"'", "\"", "$$", "$a$", ";", "(", ")", "/*", "*/", "--", "\n", "\\", "E'", "U&'", "BEGIN ATOMIC ", "END", "CASE ",
                                               "COPY t FROM stdin;\n", "\\.\n", "CREATE FUNCTION ", "$1", "1.", "\r", "\0x", "ALTER TABLE ", " DEFAULT ", ","};
  const auto changes = 1 + below(4);
  for (std::size_t i = 0; i < changes; ++i) {
    const auto at = below(text.size() + 1);
    switch (below(4)) {
      case 0: text.erase(at, below(12)); break;
      case 1: text.insert(at, tokens[below(tokens.size())]); break;
      case 2: text.insert(at, text.substr(below(text.size() + 1), below(24))); break;
      default: if (at < text.size()) text[at] = static_cast<char>(random() & 0xFF); break;
    }
  }
  return text;
}

}  // namespace codops::tests
