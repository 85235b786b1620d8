#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "lib/base/failure.hpp"
#include "lib/io/files.hpp"
#include "lib/io/tar.hpp"
#include "lib/migrate/mode.hpp"
#include "lib/migrate/source.hpp"
#include "lib/migrate/source_archive.hpp"
#include "lib/text/utf8.hpp"

using namespace codops;
using namespace codops::migrate;

namespace {
std::vector<std::string> names_of(const Source& source) {
  std::vector<std::string> names;
  for (const auto& migration : source.migrations) names.push_back(migration.name);
  return names;
}
}  // namespace

TEST_CASE("migrate order: as JavaScript's localeCompare sorts ASCII") {
  // Made with Node 20: [...].sort((a, b) => a.localeCompare(b)).
  const std::vector<std::string> sorted{"_x", "-x", "0_init", "2024010100000_z", "20240101000000_a", "20240101000000_B", "20240101000000a", "a", "A", "a b", "a_b",
                                        "a-b", "a1", "aa", "aA", "Aa", "ab", "aB", "Ab", "AB"};
  auto shuffled = sorted;
  std::reverse(shuffled.begin(), shuffled.end());
  std::stable_sort(shuffled.begin(), shuffled.end(), [](const auto& a, const auto& b) { return locale_compare(a, b) < 0; });
  CHECK(shuffled == sorted);
  CHECK(version_compare("1.2", "1.10") < 0);
  CHECK(version_compare("1", "1.0") == 0);
  CHECK(version_compare("2", "1.9.9") > 0);
}

TEST_CASE("migrate order: accented letters stand with their letter, as Node sorts them") {
  const std::vector<std::string> sorted{"1_e", "1_E", "1_é", "1_É", "1_è", "1_ea", "1_f", "1_ñu", "1_Ø", "1_öl", "1_strasse", "1_straße", "1_z", "1_þ", "1_я"};
  auto mixed = sorted;
  std::reverse(mixed.begin(), mixed.end());
  std::stable_sort(mixed.begin(), mixed.end(), [](const auto& a, const auto& b) { return locale_compare(a, b) < 0; });
  CHECK(mixed == sorted);
  CHECK(locale_compare("e\xCC\x81", "\xC3\xA9") == 0);  // in two characters or in one
  const std::vector<std::string> signs{"1_~", "1_😀", "1_$", "1_0", "1_中"};
  for (std::size_t i = 1; i < signs.size(); ++i) CHECK(locale_compare(signs[i - 1], signs[i]) < 0);
}

TEST_CASE("migrate source: the four layouts by their shape") {
  const auto prisma = recognise({{"migration_lock.toml", "# c\nprovider = \"postgresql\"\n"}, {"2_b/migration.sql", "B"}, {"1_a/migration.sql", "A"}, {"2_b/down.sql", "D"}, {"3_c/", ""}});
  CHECK(prisma.layout == Layout::prisma);
  CHECK(names_of(prisma) == std::vector<std::string>{"1_a", "2_b", "3_c"});
  CHECK(prisma.migrations[1].down == "D");
  CHECK(prisma.migrations[2].script_missing);

  const auto dbmate = recognise({{"20240102_b.sql", "-- migrate:up transaction:false\nUP\n-- migrate:down\nDOWN\n"}, {"20240101_a.sql", "-- migrate:up\nONE\n"}});
  CHECK(dbmate.layout == Layout::dbmate);
  CHECK(names_of(dbmate) == std::vector<std::string>{"20240101_a", "20240102_b"});
  CHECK(dbmate.migrations[1].key == "20240102");
  CHECK(dbmate.migrations[1].script == "UP\n");
  CHECK(dbmate.migrations[1].first_line == 2);
  CHECK(dbmate.migrations[1].down == "DOWN\n");
  CHECK(dbmate.migrations[1].down_first_line == 4);
  CHECK(dbmate.migrations[1].own_mode);

  const auto golang = recognise({{"10_c.up.sql", "C"}, {"000002_b.up.sql", "B"}, {"000002_b.down.sql", "D"}});
  CHECK(golang.layout == Layout::golang_migrate);
  CHECK(names_of(golang) == std::vector<std::string>{"000002_b", "10_c"});
  CHECK(golang.migrations[0].key == "2");
  CHECK(golang.migrations[0].down == "D");

  const auto flyway = recognise({{"R__views.sql", "V"}, {"V1_10__later.sql", "L"}, {"V1_2__first_one.sql", "F"}, {"U1_2__first_one.sql", "U"}});
  CHECK(flyway.layout == Layout::flyway);
  CHECK(names_of(flyway) == std::vector<std::string>{"V1_2__first_one", "V1_10__later", "R__views"});
  CHECK(flyway.migrations[0].key == "1.2");
  CHECK(flyway.migrations[0].description == "first one");
  CHECK(flyway.migrations[0].down == "U");
  CHECK(flyway.migrations[2].repeatable);
}

TEST_CASE("migrate source: what can't be recognised is said") {
  CHECK_THROWS_AS(recognise({{"readme.md", ""}}), Failure);
  CHECK_THROWS_AS(recognise({{"1_a/migration.sql", ""}, {"V1__x.sql", ""}}), Failure);
  CHECK(recognise({{"1_a/migration.sql", ""}, {"V1__x.sql", ""}}, Layout::flyway).migrations.size() == 1);
  CHECK_THROWS_AS(recognise({{"1_a.up.sql", ""}, {"01_b.up.sql", ""}}), Failure);
  CHECK_THROWS_AS(recognise({{"1_a/migration.sql", ""}, {"migration_lock.toml", "provider = \"mysql\""}}), Failure);
}

TEST_CASE("migrate checksum: Prisma's rules and Flyway's") {
  Migration migration;
  migration.script = "SELECT 1;\n";
  const auto prisma = checksum_of(Layout::prisma, migration);
  CHECK(prisma == "b4e0497804e46e0a0b0b8c31975b062152d551bac49c3c2e80932567b4085dcd");
  migration.script = "SELECT 1;\r\n";
  CHECK(checksum_matches(Layout::prisma, migration, prisma));
  CHECK(checksum_of(Layout::prisma, migration) != prisma);
  migration.script = "SELECT 1;";
  CHECK_FALSE(checksum_matches(Layout::prisma, migration, prisma));
  migration.script = "SELECT 1;\n";
  // "{:x}" of each byte, without leading zeros.
  CHECK(checksum_matches(Layout::prisma, migration, "b4e049784e46eabb8c31975b62152d551bac49c3c2e80932567b485dcd"));
  const auto flyway = checksum_of(Layout::flyway, migration);
  CHECK(flyway == "78787420");  // crc32 of "SELECT 1;", signed
  migration.script = "\xEF\xBB\xBFSELECT 1;\r\n";
  CHECK(checksum_of(Layout::flyway, migration) == flyway);
}

TEST_CASE("migrate text: ill-formed UTF-8 is found and replaced as Node does") {
  CHECK_FALSE(text::invalid_utf8("aü€𐍈"));
  CHECK(text::invalid_utf8("a\xE9z") == 1);
  CHECK(text::replace_invalid_utf8("a\xE9z") == "a\xEF\xBF\xBDz");
  CHECK(text::replace_invalid_utf8("\xF0\x9F\x98") == "\xEF\xBF\xBD");                              // one maximal subpart
  CHECK(text::replace_invalid_utf8("\xC0\xAF") == "\xEF\xBF\xBD\xEF\xBF\xBD");                        // overlong
  CHECK(text::replace_invalid_utf8("\xED\xA0\x80") == "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");        // a surrogate
}

TEST_CASE("migrate source: out of an image's archive, as out of the checkout") {
  using Kind = io::TarEntry::Kind;
  std::vector<io::TarEntry> entries{{"migrations/", "", 0755, Kind::directory}, {"migrations/migration_lock.toml", "provider = \"postgresql\"\n"},
                                    {"migrations/1_a/", "", 0755, Kind::directory}, {"migrations/1_a/migration.sql", "SELECT 1;"},
                                    {"migrations/2_empty/", "", 0755, Kind::directory}, {"migrations/readme.md", "x"}};
  const auto source = recognise(read_archive(io::write_tar(entries)));
  CHECK(source.layout == Layout::prisma);
  REQUIRE(source.migrations.size() == 2);
  CHECK(source.migrations[0].script == "SELECT 1;");
  CHECK(source.migrations[1].script_missing);

  // One file under two names; a hidden folder with a script.
  const auto link = [](const std::string& path, const std::string& target, Kind kind) {
    io::TarEntry entry{path, "", 0644, kind};
    entry.link_target = target;
    return entry;
  };
  entries.push_back(link("migrations/2_empty/migration.sql", "migrations/1_a/migration.sql", Kind::hardlink));
  entries.push_back({"migrations/.hid/migration.sql", "SELECT 3;"});
  const auto more = recognise(read_archive(io::write_tar(entries)));
  REQUIRE(names_of(more) == std::vector<std::string>{".hid", "1_a", "2_empty"});
  CHECK(more.migrations[2].script == "SELECT 1;");
  CHECK_FALSE(archive_link(io::write_tar(entries)));
  CHECK(archive_link(io::write_tar({link("migrations", "../db/migrations", Kind::symlink)})) == "../db/migrations");
}

TEST_CASE("migrate source: a folder is read to where its tool reads it") {
  const io::TemporaryFolder folder;
  const auto write = [&](const std::string& path) {
    const auto whole = std::filesystem::path{folder.path()} / path;
    std::filesystem::create_directories(whole.parent_path());
    std::ofstream{whole} << "SELECT 1;";
  };
  for (const auto* path : {"flyway/V1__a.sql", "flyway/2024/q1/V2__b.sql", "flyway/2025/V3__c.sql", "flyway/2025/q1/deep/down/R__r.sql", "flyway/2025/q1/notes.sql", "prisma/1_a/migration.sql",
                           "prisma/.hid/migration.sql", "prisma/.idea/x.sql", "prisma/2_b/migration.sql"}) {
    write(path);
  }
  const auto root = std::filesystem::path{folder.path()};
  CHECK(names_of(recognise(read_folder((root / "flyway").string()))) == std::vector<std::string>{"V1__a", "2024/q1/V2__b", "2025/V3__c", "2025/q1/deep/down/R__r"});
  CHECK(names_of(recognise(read_folder((root / "prisma").string()))) == std::vector<std::string>{".hid", "1_a", "2_b"});
  std::filesystem::create_directory_symlink("..", root / "flyway/2024/loop");
  CHECK_THROWS_AS(read_folder((root / "flyway").string()), Failure);
}

TEST_CASE("migrate source: where Flyway's settings may be, and which of them count") {
  const auto places = flyway_settings_places("/srv/src/main/resources/db/migration/");
  REQUIRE(places.size() == 18);
  CHECK(places.front() == "/srv/src/main/resources/db/migration/flyway.conf");
  CHECK(places[4] == "/srv/src/main/resources/db/conf/flyway.conf");
  CHECK(places.back() == "/srv/flyway.toml");
  CHECK(flyway_settings_places("/db").back() == "/flyway.toml");
  std::vector<File> files{{"V1__a.sql", "SELECT 1"}, {"flyway.toml", "[flyway]\noutOfOrder = true\n"}};
  CHECK_FALSE(recognise(files).in_order);
  add_flyway_settings("/srv/conf/flyway.conf", "flyway.validateOnMigrate=true\n", files);
  CHECK(files.size() == 2);
  CHECK(recognise(files).in_order);
}

TEST_CASE("migrate source: Flyway's versions are compared as numbers, its placeholders are refused") {
  for (const std::string other : {"V1.0__b.sql", "V01__c.sql", "V1_0_0__d.sql"}) {
    CHECK_THROWS_AS(recognise({{"V1__a.sql", "SELECT 1"}, {other, "SELECT 2"}}), Failure);
  }
  CHECK(recognise({{"V1__a.sql", "SELECT 1"}, {"V1.0.1__b.sql", "SELECT 2"}, {"V10__c.sql", "SELECT 3"}}).migrations.size() == 3);
  CHECK(matching_key(Layout::flyway, "01.0") == "1");
  CHECK(matching_key(Layout::flyway, "0") == "0");
  CHECK(matching_key(Layout::flyway, "1.10.0") == "1.10");
  CHECK(matching_key(Layout::dbmate, "01") == "01");
  const std::string script = "-- ${comment}\nCREATE TABLE ${env_name}_a(t text DEFAULT '${x}');";
  const auto prepared = [&](const std::vector<File>& files) { return prepare(recognise(files).migrations[0], false); };
  CHECK_THROWS_WITH_AS(prepared({{"V1__a.sql", script}}), "V1__a.sql:2:14: \"${env_name}\" is a placeholder of Flyway, which codops doesn't fill in", Failure);
  CHECK_THROWS_AS(prepared({{"V1__a.sql", "DO $$ BEGIN RAISE NOTICE '${x}'; END $$"}}), Failure);
  CHECK_NOTHROW(prepared({{"V1__a.sql", "-- ${comment}\nSELECT 1"}}));
  CHECK_NOTHROW(prepared({{"V1__a.sql", script}, {"flyway.conf", "flyway.url=x\nflyway.placeholderReplacement = false\n"}}));
  CHECK_NOTHROW(prepared({{"V1__a.sql", script}, {"flyway.toml", "[flyway]\nplaceholderReplacement = false\n"}}));
  CHECK_NOTHROW(prepared({{"V1__a.sql", script}, {"V1__a.sql.conf", "placeholderReplacement=false"}}));
  CHECK_NOTHROW(prepared({{"1_a/migration.sql", script}}));
}
