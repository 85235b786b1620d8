// A plain SQL dump, run.
#include <array>

#include "lib/backup/copy_in.hpp"
#include "lib/backup/sql_script.hpp"
#include "lib/backup/sql_words.hpp"
#include "lib/base/failure.hpp"
#include "lib/base/known_secrets.hpp"
#include "lib/text/sql_lexer.hpp"

namespace codops::backup {
namespace sql = text::sql;
namespace {

// Each table, index and sequence that is made stays locked until the end, and the locks are the whole server's.
constexpr std::size_t statements_at_once = 200;

// ALTER … OWNER TO x, SET SESSION AUTHORIZATION x
bool sets_owner(const std::string& sql, const std::vector<std::string>& words) {
  if (words[0] == "set") return words[1] == "session" && words[2] == "authorization";
  if (words[0] != "alter") return false;
  std::array<std::string, 3> last{};
  sql::Lexer lexer{sql};
  while (const auto token = lexer.next()) {
    if (token->trivia()) continue;
    std::rotate(last.begin(), last.begin() + 1, last.end());
    last.back() = token->kind == sql::Token::Kind::word ? sql::lower_case(token->of(sql)) : "x";
  }
  return last[0] == "owner" && last[1] == "to";
}

// What pg_dump --clean begins with. Without --if-exists it takes for granted that everything is there already.
bool cleans(const std::vector<std::string>& words) {
  return one_of(words[0], {"drop", "alter"}) || (words[0] == "select" && (words[1] == "lo_unlink" || words[2] == "lo_unlink"));
}

bool is_missing(const std::string& sqlstate) {
  return one_of(sqlstate, {"42P01", "42704", "42883", "42703", "3F000"});  // table, object, function, column, schema
}

// The server may quote a part of what it could not read: 'missing "=" after "…" in connection info string'.
KnownSecrets secrets_of(std::string_view statement, const std::vector<std::string>& words) {
  KnownSecrets secrets;
  if (!one_of(words[0], {"create", "alter"}) || !one_of(words[1], {"subscription", "user", "server", "role"})) return secrets;
  sql::Lexer lexer{statement};
  while (const auto token = lexer.next()) {
    if (token->kind != sql::Token::Kind::string) continue;
    auto value = token->of(statement);
    value.remove_prefix(std::min(value.find('\'') + 1, value.size()));
    if (value.ends_with('\'')) value.remove_suffix(1);
    secrets.add(value);
    while (!value.empty()) {
      const auto space = std::min(value.find(' '), value.size());
      const auto pair = value.substr(0, space);
      secrets.add(pair.substr(pair.find('=') + 1));  // all of it without one
      value.remove_prefix(std::min(space + 1, value.size()));
    }
  }
  return secrets;
}

// Undone alone when what it drops is not there.
void clean(io::postgres::Connection& connection, const std::string& sql, const Limits& limits) {
  connection.run("SAVEPOINT cleaning", limits);
  try {
    connection.run(sql, limits);
  } catch (const io::postgres::DatabaseError& error) {
    if (error.lost() || !is_missing(error.sqlstate())) throw;
    connection.run("ROLLBACK TO SAVEPOINT cleaning", limits);
  }
  connection.run("RELEASE SAVEPOINT cleaning", limits);
}

}  // namespace

void run_script(io::Reader& sql, const io::postgres::Target& into, const ScriptWays& ways, const Limits& limits) {
  auto connection = open_for_load(into, limits);
  connection.run("SET standard_conforming_strings = on; BEGIN", limits);
  SqlScript script{sql};
  // Whatever it was that ended ours: what is in the database now is not what the dump has.
  const auto commit = [&] {
    const bool whole = connection.transaction() == io::postgres::Transaction::in_transaction && connection.run("COMMIT", limits).last.command() == "COMMIT";
    if (!whole) throw Failure{Exit::data, "the dump ended the restore's own transaction, so it is not known to be whole", "make a custom one: pg_dump -Fc DATABASE > FILE"};
  };
  std::size_t in_transaction = 0;
  bool cleaning = true;  // until the first statement that makes something
  while (const auto statement = script.next()) {
    const auto words = first_words(statement->sql);
    if (ways.no_owner && sets_owner(statement->sql, words)) continue;
    if (ways.no_tablespaces && words[0] == "set" && words[1] == "default_tablespace") continue;
    const bool may_miss = cleaning && cleans(words);
    cleaning = may_miss || (cleaning && (words[0] == "set" || (words[0] == "select" && words[2] == "set_config")));
    try {
      // `pg_dump -n public` writes so; every new database has that one, empty.
      if (words[0] == "create" && words[1] == "schema" && one_of(words[2], {"public", "\"public\""})) connection.run("DROP SCHEMA IF EXISTS public", limits);
      io::postgres::Source rows;
      if (statement->copies && ways.copies) ways.copies(statement->sql);
      if (statement->copies) rows = [&](char* at, std::size_t size) { return script.rows(at, size); };
      may_miss ? clean(connection, statement->sql, limits) : static_cast<void>(connection.run(statement->sql, limits, rows));
    } catch (Failure& failure) {
      if (failure.code() != Exit::failed) throw;
      Failure told{failure.code(), secrets_of(statement->sql, words).hide(failure.message()), failure.hint()};
      told.add_context(fmt::format("line {} of the dump, \"{}\"", statement->line, statement_name(statement->sql)));
      throw told;
    }
    // Never between the statements that write a large object.
    if (++in_transaction >= statements_at_once && one_of(words[0], {"create", "alter"})) {
      commit();
      connection.run("BEGIN", limits);
      in_transaction = 0;
    }
  }
  if (ways.before_commit) ways.before_commit();
  commit();
}

}  // namespace codops::backup
