#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "lib/migrate/splitter.hpp"
#include "tests/fuzz/splitter_check.hpp"

using namespace codops::migrate;

namespace {

std::vector<std::string> statements(std::string_view text) {
  std::vector<std::string> result;
  std::string joined;
  for (const auto& statement : split(text)) {
    joined += statement.piece(text);
    if (!statement.empty()) result.emplace_back(statement.sql(text));
  }
  CHECK(joined == text);
  return result;
}

using List = std::vector<std::string>;

}  // namespace

TEST_CASE("migrate splitter: where the server itself would split") {
  CHECK(statements("SELECT 1; SELECT 2") == List{"SELECT 1", "SELECT 2"});
  CHECK(statements("SELECT 'a;''b'; SELECT E'\\';'; SELECT \"x;y\"") == List{"SELECT 'a;''b'", "SELECT E'\\';'", "SELECT \"x;y\""});
  CHECK(statements("SELECT 1 -- ;\n; /* ; /* ; */ ; */ SELECT 2") == List{"SELECT 1", "SELECT 2"});
  CHECK(statements("DO $$ a; b $$; DO $x$ $$ ; $$ $x$;") == List{"DO $$ a; b $$", "DO $x$ $$ ; $$ $x$"});
  CHECK(statements("SELECT a$$;b$$; SELECT $1;") == List{"SELECT a$$", "b$$", "SELECT $1"});
  CHECK(statements("CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 3") ==
        List{"CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)", "SELECT 3"});
  CHECK(statements("SELECT E'a\\''\n  'b\\';c'; SELECT 2") == List{"SELECT E'a\\''\n  'b\\';c'", "SELECT 2"});
  CHECK(statements("SELECT 'a\\'; SELECT 2") == List{"SELECT 'a\\'", "SELECT 2"});
  CHECK(statements("SELECT U&'\\0061;'; SELECT 2").size() == 2);
  CHECK(statements(";;\n-- only\n;").empty());
  CHECK(statements("").empty());
}

TEST_CASE("migrate splitter: BEGIN ATOMIC bodies, and BEGIN elsewhere") {
  const std::string body = "CREATE OR REPLACE FUNCTION f(a int) RETURNS int LANGUAGE SQL BEGIN ATOMIC SELECT CASE WHEN a > 1 THEN 1 END; SELECT 2; END";
  CHECK(statements(body + "; SELECT 1") == List{body, "SELECT 1"});
  CHECK(statements("BEGIN; CREATE TABLE t(); COMMIT;") == List{"BEGIN", "CREATE TABLE t()", "COMMIT"});
  CHECK(statements("CREATE TABLE \"function\"(i int); BEGIN; END;").size() == 3);
}

TEST_CASE("migrate splitter: COPY's data and psql commands") {
  const std::string text = "COPY t FROM stdin;\na;b\t'\n\\.\nSELECT 1;\n\\set x 'y;'\nSELECT 2 \\gset\n";
  const auto pieces = split(text);
  CHECK(statements(text) == List{"COPY t FROM stdin", "SELECT 1", "\\set x 'y;'\n", "SELECT 2 \\gset"});
  CHECK(text.substr(pieces[0].data_begin, pieces[0].data_end - pieces[0].data_begin) == "a;b\t'\n");
  CHECK(pieces[2].backslash == text.find("\\set"));
  CHECK(pieces[3].backslash == text.find("\\gset"));
  CHECK(split("COPY (SELECT 1) TO stdout; SELECT 1")[0].has_data() == false);
  CHECK(split("COPY t FROM '/x'; SELECT 1").size() == 2);
  CHECK(split("SELECT 'open")[0].complete == false);
}

TEST_CASE("migrate splitter: positions count characters") {
  const std::string text = "a\nüb\tc";
  CHECK(position_of(text, 0).line == 1);
  CHECK(position_of(text, 4).line == 2);
  CHECK(position_of(text, 4).column == 2);
  CHECK(offset_of_character(text, 4) == 4);
  CHECK(offset_of_character(text, 99) == text.size());
}

TEST_CASE("migrate splitter: any text is the same again when its pieces are joined") {
  std::mt19937 random{20261123};
  const auto& seeds = codops::tests::splitter_seeds();
  for (const auto& seed : seeds) CHECK_NOTHROW(codops::tests::check_splitter(seed));
  std::string text;
  for (int round = 0; round < 4000; ++round) {
    // A text grows by mutations of itself for a while, then another seed begins.
    if (round % 8 == 0 || text.size() > 2000) text = seeds[random() % seeds.size()] + seeds[random() % seeds.size()];
    text = codops::tests::mutated(text, random);
    INFO(text);
    REQUIRE_NOTHROW(codops::tests::check_splitter(text));
  }
}
