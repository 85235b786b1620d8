// What becomes of .env files, as text.
#include <doctest/doctest.h>

#include <fmt/format.h>

#include "lib/base/failure.hpp"
#include "lib/scaffold/dev/env_order.hpp"
#include "lib/scaffold/dev/env_plan.hpp"

using namespace codops;
using namespace codops::scaffold::dev;

namespace {

// secret1, secret2, …
NewSecret counting() {
  return [next = 0]() mutable { return fmt::format("secret{}", ++next); };
}

EnvSource source(std::string example, std::optional<std::string> text = {}, std::string path = ".env") {
  return {path, path + ".example", std::move(example), std::move(text)};
}

EnvFile plan_one(std::string example, std::optional<std::string> text = {}) { return plan_env({source(std::move(example), std::move(text))}, counting()).front(); }

}  // namespace

TEST_CASE("a missing .env is its example with secrets of its own") {
  const auto file = plan_one("# comment\r\nPORT=3000\r\nJWT_SECRET=change-me  # at least 32\r\nexport SESSION_SECRET=\"\"\r\nPOSTGRES_PASSWORD=dev\r\nSTRIPE_SECRET_KEY=");
  CHECK(file.changes());
  CHECK(file.after.text() == "# comment\r\nPORT=3000\r\nJWT_SECRET=secret1  # at least 32\r\nexport SESSION_SECRET=\"secret2\"\r\nPOSTGRES_PASSWORD=dev\r\nSTRIPE_SECRET_KEY=");
  CHECK(file.generated == std::vector<std::string>{"JWT_SECRET", "SESSION_SECRET"});
  CHECK(file.to_fill == std::vector<std::string>{"STRIPE_SECRET_KEY"});
}

TEST_CASE("a URL gets the secret that its placeholder stands for") {
  const auto file = plan_one(
      "POSTGRES_PASSWORD=change-me\nREDIS_PASSWORD=change-me\nDATABASE_URL=postgresql://shop:change-me@localhost:5432/shop?schema=public\n"
      "REDIS_URL='redis://:change-me@localhost'\nOTHER_URL=https://user:change-me@example.com\n");
  CHECK(file.after.text() ==
        "POSTGRES_PASSWORD=secret1\nREDIS_PASSWORD=secret2\nDATABASE_URL=postgresql://shop:secret1@localhost:5432/shop?schema=public\n"
        "REDIS_URL='redis://:secret2@localhost'\nOTHER_URL=https://user:change-me@example.com\n");
}

TEST_CASE("one name has one secret in all files, and the one that is there already wins") {
  const auto files = plan_env({source("POSTGRES_PASSWORD=change-me\nJWT_SECRET=\n", "POSTGRES_PASSWORD=mine\n"),
                               source("POSTGRES_PASSWORD=change-me\nDATABASE_URL=postgres://u:change-me@localhost/d\nJWT_SECRET=\n", {}, "backend/.env")},
                              counting());
  CHECK(files[0].after.text() == "POSTGRES_PASSWORD=mine\n# added by codops setup-dev from .env.example\nJWT_SECRET=secret1\n");
  CHECK(files[1].after.text() == "POSTGRES_PASSWORD=mine\nDATABASE_URL=postgres://u:mine@localhost/d\nJWT_SECRET=secret1\n");
}

TEST_CASE("a URL that is added has the password that is there") {
  const auto file = plan_one("POSTGRES_PASSWORD=change-me\nDATABASE_URL=postgres://u:change-me@localhost/d\n", "POSTGRES_PASSWORD='a@b/$c'\n");
  CHECK(file.after.value("DATABASE_URL") == "postgres://u:a%40b%2F%24c@localhost/d");
}

TEST_CASE("an existing value is never touched, whatever it is") {
  for (const std::string existing : {"JWT_SECRET=\n", "JWT_SECRET=change-me\n", "JWT_SECRET\n", "export JWT_SECRET = 'a # b'\n", "JWT_SECRET: x\n", "\xEF\xBB\xBFJWT_SECRET=1\n"}) {
    const auto file = plan_one("JWT_SECRET=change-me\n", existing);
    CHECK_FALSE(file.changes());
    CHECK(file.after.text() == existing);
  }
}

TEST_CASE("missing keys are appended as the example has them, in the file's own line ends") {
  SUBCASE("no final newline") {
    const auto file = plan_one("A=1\nB='two words' # why\nC=\n", "A=0");
    CHECK(file.after.text() == "A=0\n# added by codops setup-dev from .env.example\nB='two words'\nC=\n");
    CHECK(file.appended == std::vector<std::string>{"B", "C"});
    CHECK(file.had("A"));
    CHECK_FALSE(file.had("B"));
  }
  SUBCASE("CRLF") {
    const auto file = plan_one("A=1\nB=2\n", "A=0\r\n");
    CHECK(file.after.text() == "A=0\r\n# added by codops setup-dev from .env.example\r\nB=2\r\n");
  }
  SUBCASE("a value of several lines") {
    const auto file = plan_one("KEY=\"-----BEGIN\n# inside\nEND-----\"\n# outside\nB=1\n", "B=1\n");
    CHECK(file.after.text() == "B=1\n# added by codops setup-dev from .env.example\nKEY=\"-----BEGIN\n# inside\nEND-----\"\n");
    CHECK(file.after.value("KEY") == "-----BEGIN\n# inside\nEND-----");
  }
  SUBCASE("what is commented out stays so") {
    const auto file = plan_one("A=1\nFEATURE=on\nB=2\n", "A=1\n#FEATURE=on\n  # export B=3\n");
    CHECK_FALSE(file.changes());
    CHECK(file.left_out == std::vector<std::string>{"FEATURE", "B"});
  }
  SUBCASE("an empty file") { CHECK(plan_one("A=1\n", "").after.text() == "# added by codops setup-dev from .env.example\nA=1\n"); }
}

TEST_CASE("an empty value before a carriage return is filled before it") {
  CHECK(plan_one("JWT_SECRET=\r\nA=1\r\n").after.text() == "JWT_SECRET=secret1\r\nA=1\r\n");
  CHECK(plan_one("JWT_SECRET=  \r\nA=1\r\n", "A=1\r\n").after.value("JWT_SECRET") == "secret1");
  CHECK(plan_one("JWT_SECRET=").after.text() == "JWT_SECRET=secret1");
}

TEST_CASE("a second plan over the first one's result changes nothing") {
  const std::string example = "PORT=1\nJWT_SECRET=\nDATABASE_URL=postgres://u:change-me@localhost/d\nDB_PASSWORD=change-me\n";
  const auto made = plan_one(example).after.text();
  CHECK_FALSE(plan_one(example, made).changes());
  const auto grown = plan_one(example, "PORT=2").after.text();
  CHECK_FALSE(plan_one(example, grown).changes());
}

TEST_CASE("a file that can't be read as lines is an error with its place") {
  try {
    plan_one("A=1\n", "A=1\nB='never closed\n");
    FAIL("no failure");
  } catch (const Failure& failure) {
    CHECK(failure.code() == Exit::config);
    CHECK(failure.message().starts_with(".env:2:"));
  }
}

TEST_CASE("a move is written everywhere that means that server, and only there") {
  auto files = plan_env({source("", "POSTGRES_PORT=5432\nDATABASE_URL=\"postgresql://u:p@localhost:5432/d\" # main\nSHADOW_URL=postgresql://u@127.0.0.1/shadow\n"
                                    "REPORTS_URL=postgresql://u@db.example.com:5432/d\nREDIS_URL=redis://localhost:5432\nAPP_PORT=5432\n"),
                         source("", "PGPORT=5432\nX=5432\n", "backend/.env")},
                        counting());
  const auto effect = apply_move(files, {Store::postgres, {}, 5432, {}, 5433, "POSTGRES_PORT"});
  CHECK(files[0].after.text() ==
        "POSTGRES_PORT=5433\nDATABASE_URL=\"postgresql://u:p@localhost:5433/d\" # main\nSHADOW_URL=postgresql://u@127.0.0.1:5433/shadow\n"
        "REPORTS_URL=postgresql://u@db.example.com:5432/d\nREDIS_URL=redis://localhost:5432\nAPP_PORT=5432\n");
  CHECK(files[1].after.text() == "PGPORT=5433\nX=5432\n");
  CHECK(effect.existing == std::vector<std::string>{"POSTGRES_PORT in .env", "DATABASE_URL in .env", "SHADOW_URL in .env", "PGPORT in backend/.env"});
}

TEST_CASE("in a file that is made, a move asks nobody; a variable that is missing is appended") {
  auto files = plan_env({source("DATABASE_URL=postgres://u:p@localhost:5432/d\n")}, counting());
  const auto effect = apply_move(files, {Store::postgres, {}, 5432, {}, 5433, "POSTGRES_PORT"});
  CHECK(effect.existing.empty());
  CHECK(effect.anything);
  CHECK(files[0].after.text() == "DATABASE_URL=postgres://u:p@localhost:5433/d\nPOSTGRES_PORT=5433\n");
}

TEST_CASE("a URL that names a container is pointed to this machine") {
  auto files = plan_env({source("DATABASE_URL=postgres://u:p@db/d\nREDIS_URL=redis://redis:6379\n")}, counting());
  apply_move(files, {Store::postgres, "db", 5432, "127.0.0.1", 5432, {}});
  CHECK(files[0].after.text() == "DATABASE_URL=postgres://u:p@127.0.0.1:5432/d\nREDIS_URL=redis://redis:6379\n");
}

TEST_CASE("where a URL's server is") {
  const auto place = url_place("postgresql://u:p%40x@[::1]:5432/d?x=1");
  REQUIRE(place);
  CHECK(place->host == "[::1]");
  CHECK(place->port == "5432");
  CHECK(place->password == "p%40x");
  CHECK(url_place("postgres://localhost")->host == "localhost");
  CHECK(url_place("postgres://u@localhost:${PGPORT:-5432}/d")->port == "${PGPORT:-5432}");
  CHECK(url_place("postgres://u@${DBHOST:-localhost}:1/d")->port == "1");
  CHECK_FALSE(url_place("localhost:5432"));
}

TEST_CASE("whose secrets may be invented") {
  for (const auto* name : {"JWT_SECRET", "SESSION_SECRET", "POSTGRES_PASSWORD", "DB_PASS", "ENCRYPTION_KEY", "APP_KEY", "PASSWORD_SALT", "JWT_REFRESH_KEY"}) {
    CAPTURE(name);
    CHECK(is_own_secret(name));
  }
  for (const auto* name : {"STRIPE_SECRET_KEY", "SMTP_PASSWORD", "AWS_SECRET_ACCESS_KEY", "API_KEY", "GITHUB_TOKEN", "PUBLIC_KEY", "PORT", "JWT_SECRET_FILE", "KEYCLOAK_URL", "MONKEY"}) {
    CAPTURE(name);
    CHECK_FALSE(is_own_secret(name));
  }
  for (const auto* value : {"", "change-me", "CHANGE_ME_IN_PRODUCTION", "<generate>", "your-secret-here", "xxxxxxxx", "***", "TODO", "replace-with-a-long-string", "your-256-bit-secret", "secret", "# at least 32 characters", "$(openssl rand -hex 32)", "`uuidgen`"}) {
    CAPTURE(value);
    CHECK(is_placeholder(value));
  }
  for (const auto* value : {"shop", "postgres", "password", "dev", "48dbe4fd00e0", "s3cret!"}) {
    CAPTURE(value);
    CHECK_FALSE(is_placeholder(value));
  }
}

TEST_CASE("keys that are added later have what the existing URL of that store has") {
  const auto file = plan_one("POSTGRES_USER=shop\nPOSTGRES_PASSWORD=change-me\nPOSTGRES_DB=shop\nREDIS_PASSWORD=dev\nJWT_SECRET=\n",
                             "DATABASE_URL=postgresql://me:p%40ss@127.0.0.1:5432/mine?x=1\nREDIS_URL=redis://:r1@localhost:6379/3\n");
  CHECK(file.after.value("POSTGRES_USER") == "me");
  CHECK(file.after.value("POSTGRES_PASSWORD") == "p@ss");
  CHECK(file.after.value("POSTGRES_DB") == "mine");
  CHECK(file.after.value("REDIS_PASSWORD") == "r1");
  CHECK(file.after.value("JWT_SECRET") == "secret1");
}

TEST_CASE("a weak password that is in use is the one") {
  CHECK(plan_one("POSTGRES_PASSWORD=change-me\n", "DATABASE_URL=postgresql://me:secret@localhost/d\n").after.value("POSTGRES_PASSWORD") == "secret");
}

TEST_CASE("a URL of another machine, or of another role than the server's own, teaches nothing") {
  CHECK(plan_one("POSTGRES_PASSWORD=change-me\n", "DATABASE_URL=postgresql://me:far@db.example.com/mine\n").after.value("POSTGRES_PASSWORD") == "secret1");
  CHECK(plan_one("POSTGRES_PASSWORD=change-me\n", "POSTGRES_USER=admin\nDATABASE_URL=postgresql://app:mine@localhost/d\n").after.value("POSTGRES_PASSWORD") == "secret1");
}

TEST_CASE("a value is written so that every reader reads the same") {
  for (const std::string value : {"plain-1.2", "two words", "a#b", "a # b", "$HOME", "${X}", "it's", "\"x\"", "back\\slash", "-----BEGIN\nline two\nEND-----", "tick`", "\\n", "x=y"}) {
    CAPTURE(value);
    const auto written = quoted_value(value);
    REQUIRE(written);
    CHECK(EnvText{"A=" + *written + "\nB=1\n", ".env"}.value("A") == value);
    CHECK(EnvText{"A=" + *written + "\nB=1\n", ".env"}.value("B") == "1");
  }
  for (const std::string value : {"it's \"both\"", "it's $5", "ends with \\", "a\rb"}) {
    CAPTURE(value);
    CHECK_FALSE(quoted_value(value));
  }
}

TEST_CASE("a secret that another file has is written with the quotes that it needs, whatever it is") {
  for (const std::string written : {"'two words # and $more'", "\"it's\"", "'-----BEGIN\nkey\nEND-----'", "'x\"y'", "\"it's \\\"both\\\"\""}) {
    CAPTURE(written);
    for (const std::string place : {"JWT_SECRET=change-me # why\nB=1\n", "JWT_SECRET=\"change-me\"\nB=1\n", "JWT_SECRET=''\nB=1\n"}) {
      const auto files = plan_env({source("", "JWT_SECRET=" + written + "\n"), source(place, {}, "backend/.env")}, counting());
      CHECK(files[1].after.value("JWT_SECRET") == files[0].after.value("JWT_SECRET"));
      CHECK(files[1].after.value("B") == "1");
    }
  }
}

TEST_CASE("a file that links make one is planned once, with the keys of both examples") {
  const auto to_root = [](const std::string& path) { return path == "backend/.env" ? std::string{".env"} : path; };
  const auto merged = merged_links({source("A=1\n"), source("A=2\nB=2\n", {}, "backend/.env"), source("C=3\n", {}, "web/.env")}, to_root);
  REQUIRE(merged.size() == 2);
  CHECK(merged[0].path == ".env");
  CHECK(merged[0].links == std::vector<std::string>{"backend/.env"});
  CHECK(plan_env(merged, counting())[0].after.text() == "A=1\nB=2\n");
}

TEST_CASE("which file's value holds") {
  auto files = plan_env({source("", "X=root\nY=root\nZ=\n"), source("", "X=dev\n", ".env.development"), source("", "X=local\n", ".env.local"),
                         source("", "X=both\n", ".env.development.local"), source("", "Y=package\n", "backend/.env"), source("", "Z=other\n", "web/.env")},
                        counting());
  CHECK(named_in(files, "X", "")->value == "both");
  CHECK(named_in(files, "X", "backend")->file == ".env.development.local");
  CHECK(named_in(files, "Y", "backend")->value == "package");
  CHECK(named_in(files, "Y", "./backend/src/")->value == "package");
  CHECK(named_in(files, "Y", "backend2")->value == "root");
  CHECK_FALSE(named_in(files, "Z", ""));
  CHECK(named_first(files, "Z")->file == "web/.env");
  files.erase(files.begin() + 3);
  CHECK(named_in(files, "X", "")->value == "local");
  files[0].links = {"web/.env"};
  CHECK(named_in(files, "Y", "web")->value == "root");
}

TEST_CASE("a move knows the usual ways to name a place, and lists what it leaves") {
  auto files = plan_env({source("", "REDIS_HOST=localhost:6379\nREDIS_ADDR=127.0.0.1:6379\nREDISPORT=6379\nREDIS_PORT_NUMBER=6379\nCACHE_ENDPOINT=localhost:6379\n"
                                    "REDIS_URLS=redis://localhost:6379,redis://:p@127.0.0.1:6379/1\nREDIS_NODES=localhost:6379, far:6379\nWORKER=--redis localhost:6379\n"
                                    "FAR=redis://cache.example.com:6379\nOTHER=16379\n")},
                        counting());
  const auto effect = apply_move(files, {Store::redis, {}, 6379, {}, 6380, {}});
  CHECK(files[0].after.text() ==
        "REDIS_HOST=localhost:6380\nREDIS_ADDR=127.0.0.1:6380\nREDISPORT=6380\nREDIS_PORT_NUMBER=6380\nCACHE_ENDPOINT=localhost:6380\n"
        "REDIS_URLS=redis://localhost:6380,redis://:p@127.0.0.1:6380/1\nREDIS_NODES=localhost:6380, far:6379\nWORKER=--redis localhost:6379\n"
        "FAR=redis://cache.example.com:6379\nOTHER=16379\n");
  CHECK(effect.left == std::vector<std::string>{"WORKER in .env"});
}
