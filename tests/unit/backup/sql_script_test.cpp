#include "lib/backup/sql_script.hpp"
#include "lib/backup/dump_file.hpp"
#include "lib/backup/dump_needs.hpp"
#include "lib/backup/programs.hpp"

#include <doctest/doctest.h>

#include <cstring>

#include "lib/base/failure.hpp"
#include "lib/io/files.hpp"

using namespace codops;

namespace {

// In small bites, so that everything is cut anywhere.
struct Bites final : io::Reader {
  Bites(std::string_view text, std::size_t bite) : whole_{text}, bite_{bite} {}
  std::size_t read(char* into, std::size_t size) override { return whole_.read(into, std::min(size, bite_)); }
  io::TextReader whole_;
  std::size_t bite_;
};

// "line: statement", and "| rows" below one that copies.
std::string read(const std::string& sql, std::size_t bite = 1000, std::size_t at_once = 7) {
  Bites bites{sql, bite};
  backup::SqlScript script{bites};
  std::string out;
  std::string buffer(at_once, '\0');
  while (const auto statement = script.next()) {
    out += std::to_string(statement->line) + ": " + statement->sql + "\n";
    if (!statement->copies) continue;
    out += "| ";
    while (const auto got = script.rows(buffer.data(), buffer.size())) out.append(buffer, 0, got);
    out += "\n";
  }
  return out;
}

std::string refused(const std::string& sql) {
  try {
    return "not refused: " + read(sql);
  } catch (const Failure& failure) {
    CHECK(failure.code() == Exit::data);
    return failure.message();
  }
}

}  // namespace

TEST_CASE("a SQL dump as one transaction: the same bytes, but for the BEGIN and COMMIT around large objects") {
  const std::string row(5000, 'x');
  const std::string front = "--\n-- dump; BEGIN;\n\\restrict abc\n\nSET a = 'BEGIN;';\nCREATE FUNCTION f() RETURNS text LANGUAGE sql AS $_$ COMMIT; $_$;\nCOPY public.t (a) FROM stdin;\nBEGIN;\n" + row +
                            "\nCOMMIT;\n\\.\n\n\nCREATE FUNCTION g() RETURNS int BEGIN ATOMIC SELECT 1; END;\n-- Data for Name: BLOBS\n\n",
                    middle = "\n\nSELECT pg_catalog.lo_open('1', 131072);\nSELECT pg_catalog.lowrite(0, '\\x00');\n\n", back = "\n\nSELECT 1;\n--\n-- complete\n--\n\n\\unrestrict abc\n\n";
  for (const std::size_t bite : {1U, 3U, 64U, 100000U}) {
    CAPTURE(bite);
    const auto dump = front + "BEGIN;" + middle + "COMMIT;" + back;
    Bites bites{dump, bite};
    io::TextWriter out;
    backup::as_one_transaction(bites, out);
    CHECK(out.text == "BEGIN;\n\n" + front + middle + back + "\nCOMMIT;\n");
  }
}

TEST_CASE("a SQL dump: its statements and rows, wherever it is cut while it is read") {
  const std::string dump =
      "--\n-- dump; \\! x\n\\restrict abc\n\nSET a = 'x;\\! id';\nCREATE FUNCTION f() RETURNS text LANGUAGE sql AS $_$ SELECT '\\! ;' $_$;\n"
      "COPY public.t (a, b) FROM stdin;\n\\N\t;\n\\.x\n\\\\.\n\n\\! id\n\\.\n\nCOPY e FROM stdin;\n\\.\n"
      "CREATE FUNCTION g() RETURNS int BEGIN ATOMIC SELECT CASE WHEN 1=1 THEN 2 END; END;\nINSERT INTO t VALUES (E'a\\';\\! x', 'y''z');\n\\unrestrict abc\n-- end\n";
  const std::string wanted =
      "5: SET a = 'x;\\! id'\n6: CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $_$ SELECT '\\! ;' $_$\n7: COPY public.t (a, b) FROM stdin\n"
      "| \\N\t;\n\\.x\n\\\\.\n\n\\! id\n\n15: COPY e FROM stdin\n| \n"
      "17: CREATE FUNCTION g() RETURNS int BEGIN ATOMIC SELECT CASE WHEN 1=1 THEN 2 END; END\n18: INSERT INTO t VALUES (E'a\\';\\! x', 'y''z')\n";
  for (const std::size_t bite : {1U, 2U, 5U, 100U, 100000U}) {
    for (const std::size_t at_once : {1U, 2U, 3U, 64U, 100000U}) {
      CAPTURE(bite);
      CAPTURE(at_once);
      CHECK(read(dump, bite, at_once) == wanted);
    }
  }
  // Longer than what is read at once: the statement, a row, and all the rows.
  const std::string large(700'000, 'x'), row = large + "\t\\N\n";
  const auto text = "INSERT INTO t VALUES ('" + large + ";');\nCOPY t FROM stdin;\n" + row + row + row + "\\.\nSELECT 1;\n";
  CHECK((read(text, 100'000, 90'000) == "1: INSERT INTO t VALUES ('" + large + ";')\n2: COPY t FROM stdin\n| " + row + row + row + "\n7: SELECT 1\n"));
  // Rows that nobody asks for are passed over.
  Bites bites{text, 100'000};
  backup::SqlScript script{bites};
  int statements = 0;
  while (script.next()) ++statements;
  CHECK(statements == 3);
  CHECK(read("").empty());
  CHECK(read("-- nothing") == "");
}

TEST_CASE("a SQL dump: no command of psql passes, and what is cut off is seen") {
  CHECK(refused("SELECT 1;\n\\! touch x\n") == "line 2 of the dump: \"\\! touch x\" is a command of psql, and none is run");
  for (const char* bad : {"\\o |sh\n", "SELECT 1 \\g |sh\n;", "SELECT 1 \\; SELECT 2;", "\\copy t from program 'id'\n", "\\i /etc/passwd\n", "  \\! id", "\\\n",
                          "COPY t FROM stdin;\n1\n\\.\n\\! id\n", "\\connect a\n\\connect b\n"}) {
    CAPTURE(bad);
    CHECK(refused(bad).find("not refused") == std::string::npos);
  }
  for (const char* cut : {"SELECT 1", "SELECT 'a", "SELECT $x$ a", "SELECT /* a", "COPY t FROM stdin;", "COPY t FROM stdin;\n", "COPY t FROM stdin;\n1\n2", "COPY t FROM stdin;\n1\n\\",
                          "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1;"}) {
    CAPTURE(cut);
    CHECK(refused(cut).find("cut off") != std::string::npos);
  }
  CHECK(refused("SET standard_conforming_strings = off;").find("quotes") != std::string::npos);
  CHECK(refused("SET client_encoding = 'SJIS';").find("quotes") != std::string::npos);
  CHECK(read("SET standard_conforming_strings = on;\nSET client_encoding = 'UTF8';") == "1: SET standard_conforming_strings = on\n2: SET client_encoding = 'UTF8'\n");
  CHECK(refused(std::string{"SELECT 'a\0';", 12}).find("NUL") != std::string::npos);
}

TEST_CASE("a SQL dump of pg_dump --create: what it says of the database itself is left out") {
  CHECK(read("\\restrict a\nDROP DATABASE IF EXISTS shop;\nCREATE DATABASE shop WITH TEMPLATE = template0 ENCODING = 'UTF8';\nALTER DATABASE shop OWNER TO me;\n"
             "\\unrestrict a\n\\connect shop\n\\restrict a\nCOMMENT ON DATABASE shop IS 'on database';\nALTER DATABASE shop SET work_mem TO '5MB';\n"
             "GRANT CONNECT, TEMPORARY ON DATABASE shop TO you;\nREVOKE ALL ON DATABASE \"a b\" FROM PUBLIC;\nSECURITY LABEL FOR x ON DATABASE shop IS 'y';\n"
             "COMMENT ON TABLE database IS 'on database';\nGRANT SELECT ON TABLE t TO you;\nALTER TABLE database ADD x int;\n"
             "ALTER ROLE me IN DATABASE shop SET work_mem TO '5MB';\n\\connect shop\n") ==
        "13: COMMENT ON TABLE database IS 'on database'\n14: GRANT SELECT ON TABLE t TO you\n15: ALTER TABLE database ADD x int\n");
}

TEST_CASE("a SQL dump: its own transactions are ours, and what would take back is refused") {
  CHECK(read("BEGIN;\nSELECT 1;\nCOMMIT;\nSTART TRANSACTION;\nSELECT 2;\nEND;\n") == "2: SELECT 1\n5: SELECT 2\n");
  for (const char* bad : {"ROLLBACK;", "ABORT;", "SAVEPOINT a;", "RELEASE a;", "PREPARE TRANSACTION 'x';", "COMMIT PREPARED 'x';", "COMMIT AND CHAIN;", "ROLLBACK TO a;", "/* a */ rollback ;"}) {
    CAPTURE(bad);
    CHECK(refused(std::string{"SELECT 1;\n"} + bad).find("transaction") != std::string::npos);
  }
  CHECK(read("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END;\nPREPARE x AS SELECT 1;") ==
        "1: CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END\n2: PREPARE x AS SELECT 1\n");
}

TEST_CASE("a SQL dump of a template, whose row in pg_database it would change by name") {
  CHECK(read("UPDATE pg_catalog.pg_database SET datistemplate = false WHERE datname = 'tpl';\nUPDATE pg_database SET datallowconn = false;\nUPDATE t SET a = 1;") ==
        "3: UPDATE t SET a = 1\n");
}

TEST_CASE("a SQL dump: what is shown of it can't steer a terminal, and holds no value") {
  CHECK(refused("\\! \x1b[31m\xc3") == "line 1 of the dump: \"\\! ?[31m?\" is a command of psql, and none is run");
  CHECK(refused("CREATE SUBSCRIPTION s CONNECTION 'password=hidden' \\g x\n;").find("hidden") == std::string::npos);
}

TEST_CASE("a SQL dump: a statement without end is refused before it has taken all memory") {
  struct Endless final : io::Reader {
    std::size_t read(char* into, std::size_t size) override {
      std::memset(into, first ? '\'' : 'x', first ? 1 : size);
      given += size;
      return std::exchange(first, false) ? 1 : size;
    }
    bool first{true};
    std::size_t given{};
  } endless;
  backup::SqlScript script{endless};
  CHECK_THROWS_WITH_AS(script.next(), "line 1 of the dump: a statement or row of more than 134 MB is more than codops holds in memory", Failure);
  CHECK(endless.given < 150U << 20U);
}

TEST_CASE("a file that is no dump of pg_dump is told for what it is") {
  const io::TemporaryFolder folder;
  const auto said = [&](const std::string& content) -> std::string {
    io::write_file(folder.path() / "f", content);
    try {
      const backup::DumpFile opened{folder.path() / "f"};
    } catch (const Failure& failure) {
      CHECK(failure.code() == Exit::data);
      return failure.message();
    }
    return "opened";
  };
  CHECK(said("\xef\xbb\xbf--\n").find("byte order mark") != std::string::npos);
  CHECK(said(std::string{"\xff\xfe-\0-\0", 6}).find("UTF-16") != std::string::npos);
  CHECK(said("BZh91AY").find("bzip2") != std::string::npos);
  CHECK(said(std::string(257, 'x') + "ustar" + std::string(300, 'x')).find("tar archive") != std::string::npos);
  CHECK(said("--\n") == "opened");
  CHECK_THROWS_AS(backup::DumpFile{folder.path()}, Failure);  // a folder
}

TEST_CASE("what a SQL dump needs of the server") {
  backup::DumpNeeds needs;
  needs.begins("--\n-- PostgreSQL database dump\n--\n\n-- Dumped from database version 17.2 (Debian)\n");
  for (const char* sql : {"ALTER FUNCTION public.f(a integer, \"to\" text) OWNER TO \"Some \"\"body\"", "ALTER TABLE t OWNER TO Shop", "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)",
                          "GRANT SELECT(\"to\", x) ON TABLE t TO reader WITH GRANT OPTION", "REVOKE ALL ON SCHEMA s FROM PUBLIC", "REVOKE ALL ON SCHEMA s FROM writer",
                          "CREATE EXTENSION IF NOT EXISTS hstore WITH SCHEMA public", "CREATE EXTENSION \"uuid-ossp\"", "CREATE TABLE extension (a int)", "INSERT INTO t VALUES ('GRANT x TO y')"}) {
    needs.statement(sql);
  }
  const auto all = needs.identity(false);
  CHECK(all.server_number == 170000);
  CHECK(all.roles == std::vector<std::string>{"Some \"body", "reader", "shop", "writer"});
  CHECK(all.extensions == std::vector<std::string>{"hstore -", "uuid-ossp -"});
  CHECK(needs.identity(true).roles == std::vector<std::string>{"reader", "writer"});
}

TEST_CASE("what a program of PostgreSQL says of its failure, without the statement") {
  const std::string said = "pg_restore: while PROCESSING TOC:\npg_restore: from TOC entry 7; 6104 1 SUBSCRIPTION s me\n"
                           "pg_restore: error: could not execute query: ERROR:  no\x1b such thing\nDETAIL:  none\nCommand was: CREATE SUBSCRIPTION s\nCONNECTION 'password=hidden';\n" +
                           std::string(100'000, 'x') + "\n\n";
  for (const std::size_t bite : {std::size_t{1}, std::size_t{7}, said.size()}) {
    backup::WhatFailed failed;
    for (std::size_t at = 0; at < said.size(); at += bite) failed.feed(std::string_view{said}.substr(at, bite));
    CHECK(failed.text() == "pg_restore: while PROCESSING TOC:\npg_restore: from TOC entry 7; 6104 1 SUBSCRIPTION s me\npg_restore: error: could not execute query: ERROR:  no? such thing\nDETAIL:  none");
  }
  backup::WhatFailed dump;
  dump.feed("pg_dump: error: query failed: ERROR:  gone\npg_dump: detail: Command was: LOCK\nTABLE x\npg_dump: last");
  CHECK(dump.text() == "pg_dump: error: query failed: ERROR:  gone\npg_dump: last");
}
