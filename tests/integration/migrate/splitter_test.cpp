// The splitter beside the server's own reading of the same text.
#include <filesystem>
#include <fstream>
#include <random>

#include "lib/migrate/splitter.hpp"
#include "tests/integration/migrate/support.hpp"

using namespace codops;
using namespace codops::tests;

namespace {

// Each leaves a row or an object; every one has something in it that a splitter may stumble over.
const std::vector<std::string> parts{
    "INSERT INTO seen VALUES ('a;b')", "INSERT INTO seen VALUES ('it''s; so')", "INSERT INTO seen VALUES (E'q\\';\\\\')", "INSERT INTO seen VALUES ('back\\')",
    "INSERT INTO seen VALUES ($$d;o'l$$)", "INSERT INTO seen VALUES ($t$ $$;$$ $t$)", "INSERT INTO seen /* c; /* in; */ '; */ VALUES ('comment')",
    "INSERT INTO seen -- '; \n VALUES ('line')", "INSERT INTO seen VALUES ('one'\n  ';two')", "INSERT INTO seen VALUES (E'\\''\n  '\\';')",
    "INSERT INTO seen VALUES (U&'\\0061;')", "INSERT INTO seen SELECT \"x;y\" FROM (SELECT 'n' AS \"x;y\") q", "INSERT INTO seen VALUES (B'01'::text), (X'0f'::text), (N'n;')",
    "DO $do$ BEGIN INSERT INTO seen VALUES ('do;'); END $do$", "DO LANGUAGE plpgsql 'BEGIN INSERT INTO seen VALUES (''q;''); END'",
    "CREATE OR REPLACE FUNCTION f() RETURNS text LANGUAGE sql AS $$ SELECT 'f;' $$", "INSERT INTO seen SELECT CASE WHEN true THEN 'case;' END",
    "CREATE OR REPLACE FUNCTION g() RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 'g;' END; END",
    "CREATE OR REPLACE RULE r AS ON INSERT TO other DO ALSO (INSERT INTO seen VALUES ('r1'); INSERT INTO seen VALUES ('r2'))", "INSERT INTO other VALUES (1)",
    "INSERT INTO seen VALUES (('a')||(';'))", "INSERT INTO seen VALUES ((ARRAY['p;','q'])[1])", "", "-- nothing;\n", "/* nothing; */",
    "INSERT INTO seen VALUES ('ä;ö')", "SAVEPOINT s", "INSERT INTO seen SELECT 1-1||$x$;$x$"};

std::string any_text(std::mt19937& random) {
  std::string text;
  const auto count = 1 + random() % 9;
  for (std::size_t i = 0; i < count; ++i) {
    const auto& part = parts[random() % parts.size()];
    text += part + (random() % 3 == 0 ? " ;" : ";") + (random() % 2 == 0 ? "\n" : "");
  }
  if (random() % 3 == 0) return text;
  // Breaking it a little: most become invalid, some stay valid and mean something else.
  constexpr std::string_view noise = "';\"$()\\-/*E\n";
  for (std::size_t i = 0; i < 1 + random() % 2; ++i) {
    const auto at = random() % (text.size() + 1);
    if (random() % 2 == 0) text.erase(at, 1);
    else text.insert(at, 1, noise[random() % noise.size()]);
  }
  return text;
}

// What the server makes of it inside one transaction: the rows, or the first error's code.
std::string outcome(Database& database, const std::function<void(pg::Connection&)>& run) {
  auto& connection = database.connection;
  std::string result;
  connection.run("BEGIN", soon());
  try {
    run(connection);
    const auto rows = connection.query("SELECT count(*) || ': ' || coalesce(string_agg(v, '|' ORDER BY n), '') FROM seen", soon());
    result = std::string{rows.text(0, 0)};
  } catch (const pg::DatabaseError& error) {
    REQUIRE(!error.lost());
    result = "error " + error.sqlstate();
  }
  connection.run("ROLLBACK", soon());
  return result;
}

// True when the text is valid.
bool agree(Database& database, const std::string& text) {
  const auto statements = migrate::split(text);
  // Psql commands and what never ends are refused before anything runs.
  const auto refused = std::any_of(statements.begin(), statements.end(), [](const auto& one) { return one.backslash != migrate::Statement::none || !one.complete; });
  const auto whole = outcome(database, [&](auto& connection) { connection.run(text, soon()); });
  const auto apart = outcome(database, [&](auto& connection) {
    for (const auto& statement : statements) {
      if (!statement.empty()) connection.run(statement.sql(text), soon());
    }
  });
  const bool valid = !whole.starts_with("error");
  INFO(text);
  // A syntax error anywhere stops the whole text before its first statement; of the parts an earlier one may fail first.
  if (valid) CHECK(apart == whole);
  else CHECK((refused || apart.starts_with("error")));
  return valid;
}

}  // namespace

TEST_CASE("migrate splitter: PostgreSQL run whole and run split agree") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Database database{*server};
  database.run("CREATE TABLE seen(v text, n serial); CREATE TABLE other(i int)");
  std::mt19937 random{4711};
  int valid = 0;
  constexpr int rounds = 600;
  for (int round = 0; round < rounds; ++round) valid += agree(database, any_text(random)) ? 1 : 0;
  MESSAGE(valid << " of " << rounds << " texts were valid");
  CHECK(valid > rounds / 4);
}

TEST_CASE("migrate splitter: real migrations run whole and split make the same schema") {
  auto* server = PostgresServer::shared();
  const char* data = std::getenv("CODOPS_TEST_DATA");
  const std::filesystem::path folder = std::filesystem::path{data != nullptr ? data : "/nowhere"} / "migrations";
  if (server == nullptr || !std::filesystem::is_directory(folder)) {
    MESSAGE("skipped: CODOPS_TEST_DATA names no folder with migrations");
    return;
  }
  const auto source = migrate::recognise(migrate::read_folder(folder.string()));
  Database whole{*server};
  Database apart{*server};
  std::size_t done = 0;
  for (const auto& unread : source.migrations) {
    const auto text = std::string{migrate::without_bom(migrate::loaded(unread).script)};
    const auto statements = migrate::split(text);
    try {
      whole.run(text);
    } catch (const pg::DatabaseError&) {
      break;  // what needs an extension or its own transactions
    }
    for (const auto& statement : statements) {
      if (!statement.empty()) apart.run(std::string{statement.sql(text)});
    }
    if (++done == 200) break;
  }
  MESSAGE(done << " migrations");
  CHECK(done > 0);
  CHECK(whole.schema_dump() == apart.schema_dump());
}
