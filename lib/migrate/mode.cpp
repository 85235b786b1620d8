#include "lib/migrate/mode.hpp"
#include "lib/text/utf8.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "lib/base/failure.hpp"

namespace codops::migrate {

namespace {

using Kind = Parsed::Kind;

void require_no_psql_commands(const Script& script) {
  for (const auto& statement : script.statements) {
    if (statement.backslash == Statement::none) continue;
    const auto end = script.text.find_first_of(" \t\r\n;", statement.backslash);
    const auto command = script.text.substr(statement.backslash, end == std::string::npos ? end : end - statement.backslash);
    const bool restriction = command == "\\restrict" || command == "\\unrestrict";
    throw Failure{Exit::data, fmt::format("{}: \"{}\" is a command of psql, not SQL", script.place(statement.backslash), command),
                  restriction ? "newer pg_dump writes this line for psql; delete it" : "write it as SQL, or delete the line"};
  }
}

void require_balanced_transactions(const Script& script) {
  std::optional<std::size_t> open;
  for (std::size_t i = 0; i < script.statements.size(); ++i) {
    const auto kind = script.parsed[i].kind;
    if (kind == Kind::begin && !open) open = i;
    if (kind == Kind::commit || kind == Kind::rollback || kind == Kind::prepared_transaction) open.reset();
  }
  if (!open) return;
  throw Failure{Exit::data, fmt::format("{}: this transaction is begun and never ended; nothing of it would stay",
                                        script.place(script.statements[*open].start)),
                "add COMMIT; or delete BEGIN: a script runs in a transaction anyway"};
}

// Statement by statement, what it hides would never be sent, and nobody would notice.
[[noreturn]] void refuse_open_comment(const Script& script, const Statement& statement) {
  auto at = statement.begin;
  Lexer lexer{script.text, statement.begin};
  while (const auto token = lexer.next()) {
    if (!token->complete) at = token->begin;
  }
  throw Failure{Exit::data, fmt::format("{}: a comment begins here and never ends", script.place(at)), "add */"};
}

// A value added to an existing enum can't be used in the transaction that adds it (55P04).
std::optional<std::size_t> enum_value_used(const Script& script) {
  std::vector<Name> made_here;
  for (std::size_t i = 0; i < script.parsed.size(); ++i) {
    const auto& parsed = script.parsed[i];
    if (parsed.kind == Kind::create_type) made_here.push_back(parsed.object());
    if (parsed.kind != Kind::alter_type_add_value || parsed.value.empty()) continue;
    if (std::find(made_here.begin(), made_here.end(), parsed.object()) != made_here.end()) continue;
    const auto literal = "'" + parsed.value + "'";
    for (std::size_t j = i + 1; j < script.parsed.size(); ++j) {
      if (script.parsed[j].kind == Kind::alter_type_add_value) continue;
      if (script.statements[j].sql(script.text).find(literal) != std::string_view::npos) return i;
    }
  }
  return std::nullopt;
}

void decide_mode(Script& script, bool own_mode) {
  const auto stepwise = [&](std::size_t statement, const std::string& why) {
    script.transactional = false;
    script.reason = fmt::format("line {}: {}", script.where(script.statements[statement].start).line, why);
  };
  if (own_mode) {
    script.transactional = false;
    script.reason = "the file says transaction:false";
    return;
  }
  const auto own = std::find_if(script.parsed.begin(), script.parsed.end(), controls_transaction);
  for (std::size_t i = 0; i < script.parsed.size(); ++i) {
    if (const auto what = outside_transaction_only(script.parsed[i]); !what.empty()) {
      stepwise(i, what + " can't run in a transaction");
      break;
    }
    if (controls_transaction(script.parsed[i])) return stepwise(i, "the file has its own BEGIN, COMMIT or ROLLBACK");
  }
  if (script.transactional) {
    if (const auto at = enum_value_used(script)) stepwise(*at, "a value added to an enum is used in the same file");
  }
  if (!script.transactional && own == script.parsed.end()) keep_local_settings(script);
}

// Flyway puts a value in its place, or fails; written as it stands it would get into names and data.
void require_no_placeholders(const Script& script) {
  if (script.text.find("${") == std::string::npos) return;
  const auto refuse = [&](std::size_t at) {
    const auto end = std::min(script.text.find('}', at), at + 60);
    throw Failure{Exit::data, fmt::format("{}: \"{}}}\" is a placeholder of Flyway, which codops doesn't fill in", script.place(at), script.text.substr(at, end - at)),
                  "write the value; when it is meant as it stands: flyway.placeholderReplacement=false in flyway.conf"};
  };
  Lexer lexer{script.text};
  while (const auto token = lexer.next()) {
    if (token->kind == Token::Kind::line_comment || token->kind == Token::Kind::block_comment) continue;
    // Outside of quotes "$" and "{" are two tokens.
    const auto with_next = script.text.substr(token->begin, token->end - token->begin + 1);
    if (const auto at = with_next.find("${"); at != std::string::npos) refuse(token->begin + at);
  }
}

struct Reading {
  bool own_mode{false}, placeholders{false}, allow_invalid_utf8{false}, escapes{false};
};

Script prepared(std::string_view text, std::string path, std::size_t first_line, const Reading& reading) {
  Script script;
  script.path = std::move(path);
  script.first_line = first_line;
  script.text = without_bom(text);
  // libpq takes C strings: what follows would not be sent, and would be recorded as applied all the same.
  if (const auto nul = script.text.find('\0'); nul != std::string::npos) {
    throw Failure{Exit::data, fmt::format("{}: a NUL byte, which no SQL may have", script.place(nul)),
                  "a file in UTF-16 has them everywhere: iconv -f UTF-16 -t UTF-8; else delete it: tr -d '\\000'"};
  }
  if (const auto bad = text::invalid_utf8(script.text)) {
    if (!reading.allow_invalid_utf8) {
      throw Failure{Exit::data, fmt::format("{}: a byte that is not UTF-8", script.place(*bad)),
                    "convert the file: iconv -f LATIN1 -t UTF-8; or --allow-invalid-utf8 to put U+FFFD in its place, as Prisma does"};
    }
    script.text = text::replace_invalid_utf8(script.text);
  }
  if (reading.placeholders) require_no_placeholders(script);
  for (const auto& statement : split(script.text, reading.escapes)) {
    if (statement.empty()) {
      if (!statement.complete) refuse_open_comment(script, statement);
      continue;
    }
    script.statements.push_back(statement);
    script.parsed.push_back(parse(statement.sql(script.text)));
    script.apart = script.apart || statement.has_data() || sets_escapes(statement.sql(script.text), reading.escapes).has_value();
  }
  require_no_psql_commands(script);
  require_balanced_transactions(script);
  decide_mode(script, reading.own_mode);
  return script;
}

}  // namespace

Position Script::where(std::size_t offset) const {
  auto position = position_of(text, offset);
  position.line += first_line - 1;
  return position;
}

void keep_local_settings(Script& script) {
  for (std::size_t i = 0; i < script.statements.size(); ++i) {
    if (script.parsed[i].kind != Kind::set_local) continue;
    const auto& statement = script.statements[i];
    Lexer lexer{script.text, statement.start};
    while (const auto token = lexer.next()) {
      if (token->begin >= statement.stop) break;
      if (!equals_ignoring_case(std::string_view{script.text}.substr(token->begin, token->end - token->begin), "local")) continue;
      std::fill(script.text.begin() + static_cast<std::ptrdiff_t>(token->begin), script.text.begin() + static_cast<std::ptrdiff_t>(token->end), ' ');
      script.parsed[i] = parse(statement.sql(script.text));
      break;
    }
  }
}

std::string Script::place(std::size_t offset) const {
  const auto position = where(offset);
  return fmt::format("{}:{}:{}", path, position.line, position.column);
}

Script prepare(const Migration& migration, bool allow_invalid_utf8, bool escapes) {
  if (migration.script_missing) {
    throw Failure{Exit::data, fmt::format("the migration \"{}\" has no migration.sql (P3015)", migration.name),
                  "restore the file, or remove the folder"};
  }
  if (!migration.on_disk.empty()) return prepare(loaded(migration), allow_invalid_utf8, escapes);
  return prepared(migration.script, migration.path, migration.first_line, {migration.own_mode, migration.placeholders, allow_invalid_utf8, escapes});
}

Script prepare_down(const Migration& migration, bool allow_invalid_utf8, bool escapes) {
  if (!migration.down_on_disk.empty()) return prepare_down(loaded(migration), allow_invalid_utf8, escapes);
  if (!migration.down) {
    throw Failure{Exit::data, fmt::format("the migration \"{}\" has no down script", migration.name),
                  "Prisma: NAME/down.sql; dbmate: \"-- migrate:down\"; golang-migrate: NAME.down.sql; Flyway: U1__x.sql"};
  }
  return prepared(*migration.down, migration.down_path, migration.down_first_line, {migration.own_mode, migration.placeholders, allow_invalid_utf8, escapes});
}

}  // namespace codops::migrate
