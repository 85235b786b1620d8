#include "lib/backup/sql_script.hpp"

#include <array>
#include <cstring>

#include "lib/backup/sql_words.hpp"
#include "lib/base/failure.hpp"
#include "lib/base/units.hpp"
#include "lib/text/printable.hpp"
#include "lib/text/sql_shape.hpp"

namespace codops::backup {
namespace sql = text::sql;
namespace {

constexpr std::size_t least_buffered = 256U << 10U;
constexpr std::size_t longest_statement = 128U << 20U;  // about three times that is the memory it takes

bool concerns_database(const std::vector<std::string>& words) {
  if (one_of(words[0], {"create", "drop", "alter"}) && words[1] == "database") return true;
  // A template's: UPDATE pg_catalog.pg_database SET datistemplate = false WHERE datname = 'shop'
  if (words[0] == "update" && (words[1] == "pg_database" || words[2] == "pg_database")) return true;
  // COMMENT, GRANT, … ON DATABASE x; ALTER ROLE y IN DATABASE x SET …
  const bool role = words[0] == "alter" && words[1] == "role";
  if (!role && !one_of(words[0], {"comment", "grant", "revoke", "security"})) return false;
  const auto at = std::find(words.begin(), words.end(), role ? "in" : "on");
  return at != words.end() && at + 1 != words.end() && *(at + 1) == "database";
}

enum class Control { none, ours, refused };
// pg_dump puts BEGIN and COMMIT around large objects, and other tools around everything. What takes back, or ends ours another way,
// would leave less than the dump has, and nobody would be told.
Control transaction_control(const std::vector<std::string>& words) {
  if (one_of(words[0], {"rollback", "abort", "savepoint", "release"})) return Control::refused;
  if (words[0] == "prepare" && words[1] == "transaction") return Control::refused;
  if (words[0] == "start" && words[1] == "transaction") return Control::ours;
  if (words[0] == "begin") return Control::ours;
  if (!one_of(words[0], {"commit", "end"})) return Control::none;
  return words[1] == "prepared" || std::find(words.begin(), words.end(), "chain") != words.end() ? Control::refused : Control::ours;
}

// Settings under which a quote or a backslash may be something else than it looks like.
bool changes_quotes(const std::vector<std::string>& words) {
  if (words[0] != "set" || words.size() < 3) return false;
  const auto value = sql::lower_case(words.back());
  if (words[1] == "standard_conforming_strings") return value == "off" || value == "'off'";
  return words[1] == "client_encoding" && one_of(value, {"'sjis'", "'shift_jis_2004'", "'big5'", "'gbk'", "'uhc'", "'gb18030'", "'johab'"});
}

std::string first_line(std::string_view text) {
  const auto line = text.substr(0, text.find_first_of("\r\n"));
  const bool more = line.size() <= words_shown && text.find_first_not_of("\r\n", line.size()) != std::string_view::npos;
  return text::printable(line, words_shown) + (more ? "…" : "");
}

}  // namespace

void SqlScript::refuse(const std::string& why, const std::string& hint) const {
  throw Failure{Exit::data, fmt::format("line {} of the dump: {}", line_, why), hint};
}

void SqlScript::consume(std::size_t until) {
  line_ += static_cast<std::size_t>(std::count(text_.begin() + static_cast<std::ptrdiff_t>(at_), text_.begin() + static_cast<std::ptrdiff_t>(until), '\n'));
  pass(until);
}

void SqlScript::pass(std::size_t until) {
  if (passed_ != nullptr) passed_->append(text_, at_, until - at_);
  at_ = until;
}

// At least twice what is there, so that a long statement is not looked at more than a few times. False: there is no more.
bool SqlScript::grow() {
  if (ended_) return false;
  text_.erase(0, at_);
  at_ = 0;
  if (text_.size() >= longest_statement) {
    refuse(fmt::format("a statement or row of more than {} is more than codops holds in memory", format_bytes(longest_statement)), "make a custom one: pg_dump -Fc DATABASE > FILE");
  }
  const auto wanted = std::max(least_buffered, 2 * text_.size());
  auto size = text_.size();
  text_.resize(wanted);
  while (size < wanted) {
    const auto got = from_.read(text_.data() + size, wanted - size);
    if (got == 0) ended_ = true;
    if (got == 0) break;
    size += got;
  }
  text_.resize(size);
  return true;
}

void SqlScript::command(std::string_view line) {
  const auto name = line.substr(0, line.find_first_of(" \t\r\n"));
  if (name == "\\restrict" || name == "\\unrestrict") return;
  if (name != "\\connect") {
    refuse(fmt::format("\"{}\" is a command of psql, and none is run", first_line(line)), "pg_dump writes no such line: look at who changed the file");
  }
  // After the database's settings pg_dump goes into it once more.
  if (connected_.empty()) connected_ = line;
  if (line != connected_) refuse("it goes into a second database, as pg_dumpall's do", "restore dumps of single databases: pg_dump DATABASE > FILE");
}

SqlScript::Found SqlScript::scan(Statement& statement) {
  sql::Lexer lexer{text_, at_};
  sql::Shape shape;
  std::optional<std::size_t> start;
  std::size_t stop = at_;
  while (const auto token = lexer.next()) {
    // What reaches the end of what was read may go on in what comes.
    if (!ended_ && token->end == text_.size()) return Found::more;
    if (!token->complete) refuse("it ends inside a quote or a comment: it is cut off");
    if (token->trivia()) continue;
    if (token->kind == sql::Token::Kind::backslash) {
      if (start) refuse(fmt::format("\"{}\" holds a command of psql, and none is run", statement_name(std::string_view{text_}.substr(*start, token->end - *start))));
      const auto newline = text_.find('\n', token->begin);
      if (newline == std::string::npos && !ended_) return Found::more;
      const auto end = newline == std::string::npos ? text_.size() : newline + 1;
      consume(token->begin);
      command(std::string_view{text_}.substr(token->begin, end - token->begin));
      consume(end);
      return Found::skipped;
    }
    if (token->kind == sql::Token::Kind::semicolon && shape.ends_here()) {
      if (!start) {
        consume(token->end);
        return Found::skipped;
      }
      consume(*start);
      statement = {text_.substr(*start, stop - *start), line_, shape.reads_stdin()};
      last_size_ = token->end - *start;
      consume(token->end);
      return Found::statement;
    }
    if (!start) start = token->begin;
    stop = token->end;
    shape.see(*token, text_);
  }
  if (!ended_) return Found::more;
  if (start) {
    consume(*start);
    refuse("it ends inside a statement: it is cut off, or no dump");
  }
  return Found::nothing;
}

// Behind the semicolon of COPY nothing else may stand: the rows begin with the next line.
void SqlScript::begin_rows() {
  while (text_.find('\n', at_) == std::string::npos && grow()) {
  }
  const auto newline = text_.find('\n', at_);
  if (newline == std::string::npos) refuse("it ends where the rows of COPY begin: it is cut off");
  if (text_.find_first_not_of(" \t\r", at_) != newline) refuse("something stands behind COPY's semicolon");
  consume(newline + 1);
  copying_ = true;
  inside_row_ = false;
}

std::optional<SqlScript::Statement> SqlScript::next() {
  std::array<char, 65536> ignored;
  while (rows(ignored.data(), ignored.size()) > 0) {
  }
  for (;;) {
    Statement statement;
    switch (scan(statement)) {
      case Found::more:
        grow();
        continue;
      case Found::nothing:
        consume(text_.size());
        return std::nullopt;
      case Found::skipped:
        continue;
      case Found::statement:
        break;
    }
    if (statement.sql.find('\0') != std::string::npos) refuse("a NUL byte is no SQL");
    if (statement.copies) begin_rows();
    const auto words = first_words(statement.sql);
    if (concerns_database(words)) continue;
    const auto control = transaction_control(words);
    if (control == Control::ours) {
      if (passed_ != nullptr) passed_->resize(passed_->size() - last_size_);
      continue;
    }
    if (control == Control::refused) {
      refuse(fmt::format("\"{}\" would end the restore's own transaction", statement_name(statement.sql)), "pg_dump writes no such line: look at who changed the file");
    }
    if (changes_quotes(words)) {
      refuse(fmt::format("\"{}\": with that setting its quotes can't be told apart for sure", first_line(statement.sql)), "make a custom one: pg_dump -Fc DATABASE > FILE");
    }
    return statement;
  }
}

std::size_t SqlScript::rows(char* into, std::size_t size) {
  if (!copying_) return 0;
  for (;;) {
    // As many whole rows as fit, and what fits of the last one.
    const auto* const begin = text_.data() + at_;
    const auto* const end = begin + std::min(size, text_.size() - at_);
    const auto* at = begin;
    while (at < end) {
      const auto left = static_cast<std::size_t>(text_.data() + text_.size() - at);
      const std::string_view rest{at, left};
      const auto* newline = static_cast<const char*>(std::memchr(at, '\n', left));
      if (!inside_row_ && rest.starts_with("\\.")) {
        const auto line = rest.substr(0, newline == nullptr ? left : static_cast<std::size_t>(newline - at));
        if (newline == nullptr && !ended_) break;
        if (line == "\\." || line == "\\.\r") {
          const auto taken = static_cast<std::size_t>(at - begin);
          if (taken > 0) std::memcpy(into, begin, taken);
          pass(at_ + taken + line.size() + (newline != nullptr ? 1 : 0));
          ++line_;
          copying_ = false;
          return taken;
        }
      }
      // A backslash that is the last byte so far may be the end's.
      if (!inside_row_ && left == 1 && *at == '\\' && !ended_) break;
      inside_row_ = newline == nullptr || newline >= end;
      at = inside_row_ ? end : newline + 1;
      if (!inside_row_) ++line_;
    }
    if (at > begin) {
      const auto taken = static_cast<std::size_t>(at - begin);
      std::memcpy(into, begin, taken);
      pass(at_ + taken);
      return taken;
    }
    if (!grow()) refuse("it ends inside the rows of COPY: it is cut off");
  }
}

void as_one_transaction(io::Reader& sql, io::Writer& out) {
  std::string passed = "BEGIN;\n\n";
  SqlScript script{sql, &passed};
  const auto flush = [&] {
    out.write(passed);
    passed.clear();
  };
  std::array<char, 65536> ignored;
  while (script.next()) {
    flush();
    while (script.rows(ignored.data(), ignored.size()) > 0) flush();
  }
  passed += "\nCOMMIT;\n";
  flush();
}

}  // namespace codops::backup
