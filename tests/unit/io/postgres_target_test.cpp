#include <doctest/doctest.h>

#include "lib/io/postgres.hpp"

using namespace codops;
using io::postgres::parse_target;

TEST_CASE("postgres target: URL, Prisma's parameters, key=value") {
  auto target = parse_target(
      "postgresql://ann:p%40ss@db:6432/shop?schema=my%20app&connection_limit=3&pgbouncer=true&sslmode=require");
  CHECK(target.host == "db");
  CHECK(target.port == "6432");
  CHECK(target.user == "ann");
  CHECK(target.database == "shop");
  CHECK(target.password.reveal() == "p@ss");
  CHECK(target.schema == "my app");
  CHECK(target.pooled);
  CHECK(target.options == std::map<std::string, std::string>{{"sslmode", "require"}});
  CHECK(target.describe() == "\"shop\" on db:6432");

  CHECK(parse_target("postgres://u@/d?host=/run/pg").host == "/run/pg");
  CHECK(parse_target("postgresql+asyncpg://u@h/d").host == "h");
  CHECK(parse_target("postgres://u@h/d?sslcert=/ca.pem&sslaccept=strict").options ==
        std::map<std::string, std::string>{{"sslmode", "verify-full"}, {"sslrootcert", "/ca.pem"}});
  CHECK(parse_target("host=h user=u dbname=d\n").database == "d");
}

TEST_CASE("postgres target: golang-migrate's own parameters") {
  const auto plain = parse_target("postgres://u@h/d?sslmode=disable&x-migrations-table=my_migs&x-multi-statement=true&x-statement-timeout=5");
  CHECK(plain.history_table == "my_migs");
  CHECK(plain.history_schema.empty());
  CHECK(plain.options == std::map<std::string, std::string>{{"sslmode", "disable"}});
  const auto quoted = parse_target("postgres://u@h/d?x-migrations-table-quoted=1&x-migrations-table=%22ops%22.%22my%20migs%22");
  CHECK(quoted.history_schema == "ops");
  CHECK(quoted.history_table == "my migs");
  CHECK(parse_target("postgres://u@h/d?x-migrations-table-quoted=false&x-migrations-table=%22a%22").history_table == "\"a\"");
  CHECK_THROWS_AS(parse_target("postgres://u@h/d?x-migrations-table-quoted=true&x-migrations-table=a"), Failure);
}

TEST_CASE("postgres target: what can't be read is named, the password never shown") {
  for (const char* text : {"postgresql://u:c4nary%zz@h/d", "postgresql://u:c4nary@h:99x/d", "mysql://u:c4nary@h/d",
                           "postgresql://u:c4nary@h/d?shcema=x", "c4nary", ""}) {
    CAPTURE(text);
    try {
      parse_target(text, "DATABASE_URL");
      FAIL("it was taken");
    } catch (const Failure& failure) {
      CHECK(failure.code() == Exit::config);
      CHECK(failure.message().find("c4nary") == std::string::npos);
      CHECK(failure.message().starts_with("DATABASE_URL"));
    }
  }
}

TEST_CASE("postgres target: an '@' behind the authority tells of a password that is not escaped, and nothing of it is shown") {
  for (const auto* url : {"postgresql://ann:Wrong@Can/ary16@127.0.0.1:5432/shop", "postgresql://ann:5432?cdCanary=x@127.0.0.1:5432/shop", "postgresql://ann:p@x?Canary=1@h/shop",
                          "postgresql://ann:p@x?Canary@h/shop", "postgresql://ann:p@x:Canary@127.0.0.1:5432/shop", "postgresql://ann:Can@ary?sslmode=x@127.0.0.1:5432/shop",
                          "postgresql://ann:Can@ary?sslmode=x@127.0.0.1/shop?sslmode=disable&connect_timeout=3"}) {
    try {
      parse_target(url, "DATABASE_URL");
      FAIL(url);
    } catch (const Failure& failure) {
      CHECK(failure.code() == Exit::config);
      CHECK(failure.message() == "DATABASE_URL can't be read as a PostgreSQL URL");
    }
  }
  CHECK(parse_target("postgresql://db.example/shop?user=ann@server").user == "ann@server");
  CHECK(parse_target("postgresql://db.example/shop?user=ann@server&sslrootcert=/ca.pem").user == "ann@server");
  CHECK(parse_target("postgresql://ann:p%40ss@db/shop%40x").database == "shop@x");
  // No user stands before the host, so it is no password that was cut: as libpq reads it.
  const auto socket = parse_target("postgresql:///postgres?host=/tmp/sock&port=18510&user=admin&password=x@y/z");
  CHECK(socket.host == "/tmp/sock");
  CHECK(socket.user == "admin");
  CHECK(socket.password.reveal() == "x@y/z");
  CHECK(parse_target("postgresql://db.example/shop?user=ann&password=x@y:5432/z").password.reveal() == "x@y:5432/z");
}
