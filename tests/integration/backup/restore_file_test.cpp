// Dumps that pg_dump made.
#include <sys/stat.h>

#include "tests/support/restore_fixture.hpp"

using namespace codops;
using namespace codops::tests;
namespace fs = std::filesystem;

TEST_CASE("restore: dumps of plain pg_dump, and cut off ones are refused") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server};
  Restoring it{shop};
  const io::TemporaryFolder folder;
  fs::permissions(folder.path(), fs::perms::all);
  const auto before = fingerprint(shop.target());
  const auto url = "postgresql://postgres@/" + shop.name + "?host=" + server->folder() + "&port=" + std::to_string(server->port());
  const auto dump = [&](const std::string& format) { return io::capture({{"pg_dump", format, url}, {}, {}}, a_minute(), 1U << 30U); };
  io::write_file(folder.path() / "custom", dump("-Fc"));
  io::write_file(folder.path() / "plain.sql", dump("-Fp"));
  ask(shop.target(), "ALTER DATABASE " + shop.name + " SET work_mem TO '5MB'");
  // It makes its database and goes into it; run as it stands it would change the live one.
  io::write_file(folder.path() / "create.sql", io::capture({{"pg_dump", "-C", "--clean", "--if-exists", url}, {}, {}}, a_minute(), 1U << 30U));
  io::write_file(folder.path() / "inserts.sql", io::capture({{"pg_dump", "--rows-per-insert=100", url}, {}, {}}, a_minute(), 1U << 30U));
  io::write_file(folder.path() / "plain.sql.gz", io::capture({{"gzip", "-c", (folder.path() / "plain.sql").string()}, {}, {}}, a_minute(), 1U << 30U));
  CHECK(io::read_file(folder.path() / "create.sql", 1U << 30U).find("\n\\connect ") != std::string::npos);
  ask(shop.target(), "ALTER DATABASE " + shop.name + " SET work_mem TO '6MB'");
  for (const char* name : {"custom", "plain.sql", "plain.sql.gz", "create.sql", "inserts.sql"}) {
    CAPTURE(name);
    backup::RestoreRequest request;
    request.file = folder.path() / name;
    request.safety_backup = false;
    request.load.jobs = 2;
    const auto whole = io::read_file(request.file, 1U << 30U);
    io::write_file(request.file, whole.substr(0, whole.size() * 2 / 3));
    const auto names = it.databases();
    CHECK(code_of([&] { it.restore(request); }) == Exit::data);
    CHECK(it.databases() == names);
    io::write_file(request.file, whole);
    ask(shop.target(), "DROP TABLE orders CASCADE");
    const auto restored = it.restore(request);
    CHECK((fingerprint(shop.target()) == before));
    CHECK(answer(shop.target(), "SHOW work_mem") == "6MB");
    ask(shop.target("postgres"), "DROP DATABASE " + restored.aside);
  }
}

TEST_CASE("restore: a SQL dump that runs commands of psql, or is one of pg_dumpall, is refused before a database is made") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, "CREATE TABLE t AS SELECT generate_series(1, 1000) i"};
  Restoring it{shop};
  const io::TemporaryFolder folder;
  const auto url = "postgresql://postgres@/" + shop.name + "?host=" + server->folder() + "&port=" + std::to_string(server->port());
  const auto dump = io::capture({{"pg_dump", url}, {}, {}}, a_minute(), 1U << 30U);
  const auto end = dump.find("--\n-- PostgreSQL database dump complete");
  REQUIRE(end != std::string::npos);
  const auto owned = folder.path() / "owned";
  backup::RestoreRequest request;
  request.file = folder.path() / "evil.sql";
  request.safety_backup = false;
  bool prepared = false;
  const auto refused = [&](const std::string& sql) {
    io::write_file(request.file, sql);
    CHECK(code_of([&] { it.restore(request, {[&](const Limits&) { prepared = true; }, {}, {}, {}}); }) == Exit::data);
    CHECK_FALSE(prepared);
    CHECK(it.databases() == shop.name);
    CHECK_FALSE(fs::exists(owned));
  };
  for (const std::string line : {"\\! touch ", "\\o |touch ", "SELECT 1 \\g |touch ", "\\unrestrict x\n\\! touch "}) {
    CAPTURE(line);
    refused(std::string{dump}.insert(end, line + owned.string() + "\n"));
  }
  // Names that other tests have made in encodings of their own are too much for it.
  refused(io::capture({{"pg_dumpall", "-h", server->folder(), "-p", std::to_string(server->port()), "-U", "postgres", "--no-role-passwords", "--exclude-database=odd*"}, {}, {}}, a_minute(), 1U << 30U));
  // What the server refuses is told with its line, and nothing stays.
  io::write_file(request.file, std::string{dump}.insert(end, "SELECT no_such_function();\n"));
  try {
    it.restore(request);
    FAIL("restored");
  } catch (const Failure& failure) {
    CHECK(failure.code() == Exit::failed);
    CHECK(failure.message().find("\"SELECT no_such_function()\"") != std::string::npos);
  }
  CHECK(it.databases() == shop.name);
}

TEST_CASE("restore: a dump file that changes after its check leaves the live database as it is") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, "CREATE TABLE t AS SELECT generate_series(1, 1000) i"};
  Restoring it{shop};
  Files files{shop, *server};
  const auto plain = files.dump({});
  std::string other = plain;
  other.replace(other.find("\n999\n"), 5, "\n888\n");
  for (const auto& content : {plain, files.dump({"-Fc"})}) {
    for (const auto& change : {std::string{}, content.starts_with("PGDMP") ? content + "x" : other}) {
      CAPTURE(change.size());
      const auto request = files.request(content);
      // In place, between the check and the load.
      const auto meanwhile = [&](const Limits&) { std::ofstream{request.file, std::ios::binary | std::ios::trunc} << change; };
      CHECK(code_of([&] { it.restore(request, {meanwhile, {}, {}, {}}); }) != Exit::ok);
      CHECK(it.databases() == shop.name);
      CHECK(answer(shop.target(), "SELECT count(*)::text FROM t WHERE i = 999") == "1");
      // Another file under its name is not looked at: the checked one is open.
      const auto second = files.request(content);
      const auto replaced = [&](const Limits&) {
        fs::remove(second.file);
        io::write_file(second.file, "");
      };
      const auto restored = it.restore(second, {replaced, {}, {}, {}});
      CHECK(answer(shop.target(), "SELECT count(*)::text FROM t") == "1000");
      ask(shop.target("postgres"), "DROP DATABASE " + restored.aside);
    }
  }
  backup::RestoreRequest pipe;
  pipe.file = files.folder.path() / "pipe";
  REQUIRE(::mkfifo(pipe.file.c_str(), 0600) == 0);
  CHECK(code_of([&] { it.restore(pipe); }) == Exit::usage);
}

TEST_CASE("restore: pg_dump --clean finds nothing to drop, and needs that the server lacks are told before the safety backup") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server};
  Restoring it{shop};
  Files files{shop, *server};
  const auto before = fingerprint(shop.target());
  auto request = files.request(files.dump({"--clean"}));
  const auto restored = it.restore(request);
  CHECK((fingerprint(shop.target()) == before));
  ask(shop.target("postgres"), "DROP DATABASE " + restored.aside);

  auto missing = files.dump({});
  const auto end = missing.find("--\n-- PostgreSQL database dump complete");
  missing.insert(end, "ALTER TABLE public.orders OWNER TO nobody_here;\nCREATE EXTENSION no_such_extension;\nGRANT SELECT ON TABLE public.orders TO nobody_there;\n");
  missing.replace(missing.find("Dumped from database version ") + 29, 2, "99");
  request = files.request(missing);
  request.safety_backup = true;
  const auto why = failure_of([&] { it.restore(request); });
  for (const char* what : {"nobody_here", "nobody_there", "no_such_extension", "PostgreSQL 99"}) CHECK(why.find(what) != std::string::npos);
  CHECK(it.labels().empty());
  // A custom one says the same.
  ask(shop.target(), "CREATE ROLE " + shop.name + "_gone; ALTER TABLE customers OWNER TO " + shop.name + "_gone");
  request = files.request(files.dump({"-Fc"}));
  request.safety_backup = true;
  ask(shop.target(), "ALTER TABLE customers OWNER TO postgres; DROP ROLE " + shop.name + "_gone");
  CHECK(failure_of([&] { it.restore(request); }).find(shop.name + "_gone") != std::string::npos);
  CHECK(it.labels().empty());
  CHECK(it.databases() == shop.name);
}

TEST_CASE("restore: the password of a subscription or a user mapping in a dump is not told") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, "CREATE TABLE t (i int)"};
  Restoring it{shop};
  Files files{shop, *server};
  const auto dump = files.dump({});
  const auto end = dump.find("--\n-- PostgreSQL database dump complete");
  for (const char* sql : {"CREATE SUBSCRIPTION s CONNECTION 'host=x password=c4nary' PUBLICATION p, p;\n",
                          "CREATE SUBSCRIPTION s CONNECTION 'host=x c4nary' PUBLICATION p WITH (connect = false);\n", "CREATE USER MAPPING FOR postgres SERVER nowhere OPTIONS (password 'c4nary');\n"}) {
    const auto why = failure_of([&] { it.restore(files.request(std::string{dump}.insert(end, sql))); });
    CAPTURE(why);
    CHECK(why.find("CREATE ") != std::string::npos);
    CHECK(why.find("c4nary") == std::string::npos);
  }
  CHECK(it.databases() == shop.name);
}
