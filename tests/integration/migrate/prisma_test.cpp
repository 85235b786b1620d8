// Interoperation with Prisma's own schema engine, from npm (tests/support/prisma.sh).
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "lib/io/files.hpp"
#include "tests/integration/migrate/support.hpp"
#include "tests/support/source_dir.hpp"

using namespace codops;
using namespace codops::tests;
namespace fs = std::filesystem;

namespace {

// The shell belongs to the test only: the script finds Node, npm and its cache.
int shell(const std::string& command, std::string* output = nullptr) {
  FILE* pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  char buffer[4096];
  for (std::size_t size = 0; (size = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) {
    if (output != nullptr) output->append(buffer, size);
  }
  const int status = ::pclose(pipe);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

const std::string script = codops::tests::source_dir() + "/tests/support/prisma.sh";

bool have_prisma() {
  static const bool have = shell(script + " --check") == 0;
  if (have) return true;
  const char* required = std::getenv("CODOPS_REQUIRE_SERVICES");
  if (required != nullptr && std::string{required} == "1") FAIL_CHECK("Prisma's engine can't be had");
  MESSAGE("skipped: Prisma's schema engine can't be had from npm");
  return false;
}

nlohmann::json prisma(const Database& db, const std::string& arguments, const std::string& folder) {
  std::string output;
  shell(fmt::format("DATABASE_URL='{}' {} {} '{}'", db.server.url(db.name), script, arguments, folder), &output);
  return nlohmann::json::parse(output);
}

std::string failure_code(const nlohmann::json& answer) { return answer.contains("error") ? answer["error"].value("code", "?") : ""; }

void write(const std::string& folder, const std::vector<migrate::File>& files, std::size_t from, std::size_t to) {
  for (std::size_t i = from; i < to && i < files.size(); ++i) {
    const fs::path path = fs::path{folder} / files[i].path;
    fs::create_directories(path.parent_path());
    std::ofstream{path, std::ios::binary} << files[i].content;
  }
}

// Names with spaces and capitals; CRLF, no final newline, functions, comments.
std::vector<migrate::File> awkward() {
  return {sql("0_init", "CREATE TABLE \"User\" (id SERIAL PRIMARY KEY, email TEXT NOT NULL UNIQUE);\r\nCREATE TYPE \"Role\" AS ENUM ('A', 'B');\r\n"),
          sql("20240101000000_a", "ALTER TABLE \"User\" ADD COLUMN role \"Role\" NOT NULL DEFAULT 'A'"),
          sql("20240101000000_B", "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $body$ BEGIN RETURN 1; -- ;\nEND; $body$;\n"),
          sql("20240102000000 with spaces", "-- nothing here\n"),
          sql("20240103000000_post", "CREATE TABLE \"Post\" (id INT PRIMARY KEY, author INT REFERENCES \"User\"(id) ON DELETE CASCADE);\n"
                                     "CREATE INDEX post_author ON \"Post\"(author);\n"),
          sql("20240104000000_view", "CREATE VIEW authors AS SELECT DISTINCT author FROM \"Post\";\n")};
}

// Three thirds by two hands in turn, the result compared with what one hand makes.
void hand_over(PostgresServer& server, const std::vector<migrate::File>& files, bool codops_first, const std::string& expected) {
  const io::TemporaryFolder folder;
  Database db{server};
  const auto read = [&] { return migrate::read_folder(folder.path()); };
  const auto status = [&] { return migrate::status(migrate::recognise(read()), db.connection, true, soon()); };
  bool codops = codops_first;
  std::size_t done = 0;
  for (const auto end : {files.size() / 3, files.size() * 2 / 3, files.size()}) {
    write(folder.path(), files, done, end);
    CHECK(prisma(db, "diagnose", folder.path())["history"]["unappliedMigrationNames"].size() == end - done);
    CHECK(status().count(migrate::State::pending) == end - done);
    if (codops) {
      CHECK(up(db, read()).applied.size() == end - done);
    } else {
      const auto answer = prisma(db, "apply", folder.path());
      CAPTURE(answer.dump());
      CHECK(answer["appliedMigrationNames"].size() == end - done);
    }
    done = end;
    codops = !codops;
  }
  const auto last = prisma(db, "diagnose", folder.path());
  CAPTURE(last.dump());
  CHECK(last["history"].is_null());
  CHECK(last["editedMigrationNames"].empty());
  CHECK(last["failedMigrationNames"].empty());
  CHECK(status().exit() == Exit::ok);
  CHECK(up(db, read()).applied.empty());
  CHECK(db.schema_dump() == expected);
}

std::string made_alone(PostgresServer& server, const std::vector<migrate::File>& files) {
  Database alone{server};
  up(alone, files);
  return alone.schema_dump();
}

}  // namespace

TEST_CASE("prisma: codops and Prisma apply in turn, in both orders") {
  auto* server = PostgresServer::shared();
  if (server == nullptr || !have_prisma()) return;
  const auto expected = made_alone(*server, awkward());
  hand_over(*server, awkward(), true, expected);
  hand_over(*server, awkward(), false, expected);
}

TEST_CASE("prisma: the same with 430 real migrations") {
  auto* server = PostgresServer::shared();
  if (server == nullptr || !have_prisma()) return;
  const char* data = std::getenv("CODOPS_TEST_DATA");
  if (data == nullptr || !fs::exists(std::string{data} + "/migrations")) {
    MESSAGE("skipped: CODOPS_TEST_DATA names no folder with migrations");
    return;
  }
  std::vector<migrate::File> files;
  for (auto& file : migrate::read_folder(std::string{data} + "/migrations")) {
    if (!file.path.ends_with("/migration.sql")) continue;
    std::ifstream script{std::exchange(file.on_disk, {}), std::ios::binary};
    file.content.assign(std::istreambuf_iterator<char>{script}, {});
    files.push_back(std::move(file));
  }
  hand_over(*server, files, true, made_alone(*server, files));
}

TEST_CASE("prisma: edited, failed, not empty: both say so, and each goes on after the other's resolve") {
  auto* server = PostgresServer::shared();
  if (server == nullptr || !have_prisma()) return;
  const io::TemporaryFolder folder;
  std::vector files{sql("1_a", "CREATE TABLE a(id int);\n"), sql("2_b", "CREATE TABLE b(id nonsense);\n")};
  write(folder.path(), files, 0, 2);
  const auto read = [&] { return migrate::read_folder(folder.path()); };
  Heard heard;

  SUBCASE("P3005") {
    Database db{*server};
    db.run("CREATE TABLE other(id int)");
    CHECK(failure_code(prisma(db, "apply", folder.path())) == "P3005");
    CHECK(failure_of([&] { up(db, read()); }).message().find("P3005") != std::string::npos);
    migrate::baseline(migrate::recognise(read()), db.connection, "1_a", {}, heard, soon());
    CHECK(prisma(db, "diagnose", folder.path())["history"]["unappliedMigrationNames"] == nlohmann::json{"2_b"});
  }
  SUBCASE("Prisma fails: P3018, then P3009 for both; codops resolves, Prisma goes on") {
    Database db{*server};
    // The engine's WebAssembly build passes the server's error on without its own code, P3018.
    CHECK(prisma(db, "apply", folder.path())["error"]["message"].get<std::string>().find("nonsense") != std::string::npos);
    CHECK(failure_code(prisma(db, "apply", folder.path())) == "P3009");
    CHECK(failure_of([&] { up(db, read()); }).message().find("P3009") != std::string::npos);
    CHECK(migrate::status(migrate::recognise(read()), db.connection, true, soon()).exit() == Exit::failed);
    migrate::resolve_rolled_back(migrate::recognise(read()), db.connection, "2_b", {}, heard, soon());
    files[1].content = "CREATE TABLE b(id int);\n";
    write(folder.path(), files, 0, 2);
    CHECK(prisma(db, "apply", folder.path())["appliedMigrationNames"] == nlohmann::json{"2_b"});
    CHECK(migrate::status(migrate::recognise(read()), db.connection, true, soon()).exit() == Exit::ok);
  }
  SUBCASE("codops fails in a transaction: Prisma may retry at once") {
    Database db{*server};
    failure_of([&] { up(db, read()); });
    CHECK(prisma(db, "diagnose", folder.path())["failedMigrationNames"].empty());
    files[1].content = "CREATE TABLE b(id int);\n";
    write(folder.path(), files, 0, 2);
    CHECK(prisma(db, "apply", folder.path())["appliedMigrationNames"] == nlohmann::json{"2_b"});
  }
  SUBCASE("codops fails between statements: Prisma sees a failed row; its resolve lets codops go on") {
    Database db{*server};
    files[1].content = "CREATE INDEX CONCURRENTLY ai ON a(id);\nCREATE TABLE b(id nonsense);\n";
    write(folder.path(), files, 0, 2);
    failure_of([&] { up(db, read()); });
    CHECK(prisma(db, "diagnose", folder.path())["failedMigrationNames"] == nlohmann::json{"2_b"});
    CHECK(failure_code(prisma(db, "apply", folder.path())) == "P3009");
    CHECK(migrate::status(migrate::recognise(read()), db.connection, true, soon()).exit() == Exit::failed);
    CHECK(failure_code(prisma(db, "resolve-applied 2_b", folder.path())).empty());
    CHECK(migrate::status(migrate::recognise(read()), db.connection, true, soon()).exit() == Exit::ok);
    CHECK(up(db, read()).applied.empty());
  }
  SUBCASE("a BOM, which only codops can run, has the checksum that Prisma expects") {
    Database db{*server};
    files[1].content = "\xEF\xBB\xBF" "CREATE TABLE b(id int);\n";
    write(folder.path(), files, 0, 2);
    CHECK(up(db, read()).applied.size() == 2);
    const auto answer = prisma(db, "diagnose", folder.path());
    CHECK(answer["editedMigrationNames"].empty());
    CHECK(answer["history"].is_null());
  }
  SUBCASE("codops resolves as applied as Prisma does; edited files are found by both") {
    Database db{*server};
    failure_of([&] { up(db, read()); });
    migrate::resolve_applied(migrate::recognise(read()), db.connection, "2_b", {}, heard, soon());
    CHECK(failure_code(prisma(db, "resolve-applied 2_b", folder.path())) == "P3008");
    CHECK(failure_code(prisma(db, "resolve-rolled-back 1_a", folder.path())) == "P3012");
    CHECK(failure_code(prisma(db, "resolve-rolled-back 7_x", folder.path())) == "P3011");
    files[0].content = "CREATE TABLE a(id int);\r\n";
    write(folder.path(), files, 0, 1);
    CHECK(prisma(db, "diagnose", folder.path())["editedMigrationNames"].empty());
    files[0].content = "CREATE TABLE a(id int);";
    write(folder.path(), files, 0, 1);
    CHECK(prisma(db, "diagnose", folder.path())["editedMigrationNames"] == nlohmann::json{"1_a"});
    CHECK(migrate::status(migrate::recognise(read()), db.connection, true, soon()).count(migrate::State::edited) == 1);
  }
}

TEST_CASE("prisma: names are ordered as Node's localeCompare orders them") {
  if (shell("node --version >/dev/null 2>&1") != 0) {
    MESSAGE("skipped: there is no node");
    return;
  }
  // NFC text, as people type it; each name is one line.
  const std::vector<std::string> letters{"a", "A", "b", "e", "E", "o", "s", "ss", "z", "0", "1", "_", "-", " ", ".", "\u00e9", "\u00c9", "\u00e8", "\u00f6", "\u00d6", "\u00df",
                                         "\u00e6", "\u00f8", "\u00f1", "\u0142", "\u0161", "\u017e", "\u00fe", "\u0111"};
  std::mt19937 random{99};
  std::vector<std::string> names;
  for (int i = 0; i < 1500; ++i) {
    std::string name = "2024";
    for (std::size_t k = 0; k < 1 + random() % 4; ++k) name += letters[random() % letters.size()];
    names.push_back(std::move(name));
  }
  const io::TemporaryFolder folder;
  const auto path = (folder.path() / "names").string();
  std::string text;
  for (const auto& name : names) text += name + "\n";
  std::ofstream{path, std::ios::binary} << text;
  std::string output;
  REQUIRE(shell("node -e 'const n = require(\"fs\").readFileSync(process.argv[1], \"utf8\").split(\"\\n\").slice(0, -1); "
                "n.sort((a, b) => a.localeCompare(b, \"en\")); console.log(n.join(\"\\n\"))' " + path, &output) == 0);
  std::stable_sort(names.begin(), names.end(), [](const auto& a, const auto& b) { return migrate::locale_compare(a, b) < 0; });
  std::string ours;
  for (const auto& name : names) ours += name + "\n";
  CHECK(ours == output);
}
