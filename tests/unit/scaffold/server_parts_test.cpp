// A server given in pieces: DB_HOST, DB_PORT, …
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <map>

#include "lib/io/server_parts.hpp"
#include "lib/scaffold/dev/env_plan.hpp"

using namespace codops::io;
using namespace codops::scaffold::dev;

namespace {

struct Variables {
  std::map<std::string, std::string> values;
  PartLookup look() const {
    return [this](const std::string& name) {
      const auto found = values.find(name);
      return found == values.end() ? std::nullopt : std::optional{found->second};
    };
  }
  std::string url(Store store, bool host_needed = false) const {
    const auto parts = store_parts(store, look(), host_needed);
    return parts ? parts->url : std::string{};
  }
};

EnvFile plan_one(std::string example, std::optional<std::string> text = {}) {
  int next = 0;
  return plan_env({{".env", ".env.example", std::move(example), std::move(text)}}, [&] { return fmt::format("secret{}", ++next); }).front();
}

}  // namespace

TEST_CASE("pieces make the URL that they mean, however they are spelled") {
  CHECK(Variables{{{"DB_HOST", "localhost"}, {"DB_PORT", "5433"}, {"DB_USER", "shop"}, {"DB_PASSWORD", "p@ss/1"}, {"DB_NAME", "shop"}}}.url(Store::postgres) ==
        "postgresql://shop:p%40ss%2F1@localhost:5433/shop");
  CHECK(Variables{{{"PGHOST", "127.0.0.1"}, {"PGUSER", "u"}, {"PGPASSWORD", "p"}, {"PGDATABASE", "d"}}}.url(Store::postgres) == "postgresql://u:p@127.0.0.1/d");
  CHECK(Variables{{{"DATABASE_HOST", "::1"}, {"DATABASE_USERNAME", "u"}, {"DATABASE_NAME", "d"}}}.url(Store::postgres) == "postgresql://u@[::1]/d");
  CHECK(Variables{{{"REDIS_HOST", "localhost"}, {"REDIS_PORT", "6380"}, {"REDIS_PASSWORD", "p"}, {"REDIS_DB", "2"}}}.url(Store::redis) == "redis://:p@localhost:6380/2");
  CHECK(Variables{{{"REDISHOST", "localhost"}, {"REDIS_PASSWORD", ""}}}.url(Store::redis) == "redis://localhost");
  // The host by one name, who logs in by another's.
  CHECK(Variables{{{"DB_HOST", "db"}, {"POSTGRES_USER", "u"}, {"POSTGRES_PASSWORD", "p"}, {"POSTGRES_DB", "d"}}}.url(Store::postgres) == "postgresql://u:p@db/d");
}

TEST_CASE("what names no server is none") {
  const Variables account{{{"POSTGRES_USER", "u"}, {"POSTGRES_PASSWORD", "p"}, {"POSTGRES_DB", "d"}}};
  CHECK(account.url(Store::postgres) == "postgresql://u:p@localhost/d");
  CHECK(account.url(Store::postgres, true).empty());  // a compose file's
  CHECK(Variables{{{"DB_PASSWORD", "p"}, {"DB_PORT", "5432"}, {"DB_HOST", ""}}}.url(Store::postgres).empty());
  CHECK(Variables{{{"REDIS_PORT", "6379"}, {"REDIS_PASSWORD", "p"}}}.url(Store::redis).empty());
}

TEST_CASE("pieces of another kind of database") {
  const auto kind = [](std::map<std::string, std::string> values) {
    values["DB_HOST"] = "localhost";
    const Variables variables{std::move(values)};
    return other_kind(*store_parts(Store::postgres, variables.look(), false), variables.look());
  };
  CHECK(kind({}).empty());
  CHECK(kind({{"DB_CONNECTION", "pgsql"}}).empty());
  CHECK(kind({{"DB_DIALECT", "postgres"}, {"DB_PORT", "5432"}}).empty());
  CHECK(kind({{"DB_CONNECTION", "MySQL"}}) == "mysql");
  CHECK(kind({{"DB_TYPE", "better-sqlite3"}}) == "better-sqlite3");
  CHECK(kind({{"DB_PORT", "3306"}}) == "port 3306");
}

TEST_CASE("one role has one password, whatever its keys are called") {
  CHECK(plan_one("POSTGRES_PASSWORD=\nDB_PASSWORD=change-me\nPGPASSWORD=\nREDIS_PASSWORD=\n").after.text() ==
        "POSTGRES_PASSWORD=secret1\nDB_PASSWORD=secret1\nPGPASSWORD=secret1\nREDIS_PASSWORD=secret2\n");
  // Two roles have two.
  CHECK(plan_one("POSTGRES_USER=admin\nPOSTGRES_PASSWORD=\nDB_USER=shop\nDB_PASSWORD=\n").after.text() == "POSTGRES_USER=admin\nPOSTGRES_PASSWORD=secret1\nDB_USER=shop\nDB_PASSWORD=secret2\n");
  CHECK(plan_one("POSTGRES_USER=shop\nPOSTGRES_PASSWORD=\nDB_USER=shop\nDB_PASSWORD=\n").after.value("DB_PASSWORD") == "secret1");
  CHECK(plan_one("POSTGRES_PASSWORD=\nDB_PASSWORD=\n", "POSTGRES_PASSWORD=mine\n").after.value("DB_PASSWORD") == "mine");
  // One that somebody has is in use, whatever it looks like; the example's own is meant.
  CHECK(plan_one("POSTGRES_PASSWORD=\nDB_PASSWORD=\n", "POSTGRES_PASSWORD=changeme\n").after.value("DB_PASSWORD") == "changeme");
  CHECK(plan_one("POSTGRES_PASSWORD=postgres\nDB_PASSWORD=\n").after.value("DB_PASSWORD") == "postgres");
  CHECK(plan_one("DB_ADMIN_PASSWORD=\nDB_PASSWORD=\n").after.text() == "DB_ADMIN_PASSWORD=secret1\nDB_PASSWORD=secret2\n");
  CHECK(plan_one("DB_PWD=\nPWD=\nAPP_PWD=\n").after.text() == "DB_PWD=secret1\nPWD=\nAPP_PWD=\n");
}

TEST_CASE("a placeholder in a URL is the password of that store, spelled otherwise there or not") {
  CHECK(plan_one("POSTGRES_PASSWORD=\nDATABASE_URL=postgres://shop:changeme@localhost/shop\n").after.value("DATABASE_URL") == "postgres://shop:secret1@localhost/shop");
  CHECK(plan_one("POSTGRES_USER=shop\nPOSTGRES_PASSWORD=your-password\nDATABASE_URL=postgres://shop:changeme@localhost/shop\n").after.value("DATABASE_URL") == "postgres://shop:secret1@localhost/shop");
  CHECK(plan_one("POSTGRES_PASSWORD=\nDATABASE_URL=postgres://shop:changeme@localhost/shop\n", "POSTGRES_PASSWORD=mine\n").after.value("DATABASE_URL") == "postgres://shop:mine@localhost/shop");
  // Another role's, another server's, or one that means something: as it is.
  CHECK(plan_one("POSTGRES_USER=admin\nPOSTGRES_PASSWORD=\nDATABASE_URL=postgres://shop:changeme@localhost/shop\n").after.value("DATABASE_URL") == "postgres://shop:changeme@localhost/shop");
  CHECK(plan_one("REDIS_PASSWORD=\nDATABASE_URL=postgres://shop:changeme@localhost/shop\n").after.value("DATABASE_URL") == "postgres://shop:changeme@localhost/shop");
  CHECK(plan_one("POSTGRES_PASSWORD=\nDATABASE_URL=postgres://shop:dev@localhost/shop\n").after.value("DATABASE_URL") == "postgres://shop:dev@localhost/shop");
}

TEST_CASE("a host without a port gets one when its server moves") {
  std::vector<EnvFile> files{plan_one("DB_HOST=localhost\nDB_USER=u\nDB_NAME=d\n")};
  apply_move(files, {Store::postgres, {}, 5432, {}, 5433, {}, "DB_PORT", ".env"});
  CHECK(files[0].after.text() == "DB_HOST=localhost\nDB_USER=u\nDB_NAME=d\nDB_PORT=5433\n");
  apply_move(files, {Store::postgres, {}, 5433, {}, 5434, {}, "DB_PORT", ".env"});
  CHECK(files[0].after.value("DB_PORT") == "5434");
  std::vector<EnvFile> there{plan_one("", "DB_HOST=db\nDB_PORT=5432\n")};
  const auto effect = apply_move(there, {Store::postgres, "db", 5432, "127.0.0.1", 5432, {}});
  CHECK(there[0].after.text() == "DB_HOST=127.0.0.1\nDB_PORT=5432\n");
  CHECK(effect.existing == std::vector<std::string>{"DB_HOST in .env"});
}

TEST_CASE("what pieces say of their kind") {
  const auto said = [](std::map<std::string, std::string> values) {
    values.emplace("DB_HOST", "database.example.com");
    const Variables variables{std::move(values)};
    return is_kind(Store::postgres, *store_parts(Store::postgres, variables.look(), true), variables.look());
  };
  CHECK(said({}) == Said::nothing);
  CHECK(said({{"DB_PORT", "5433"}}) == Said::yes);
  CHECK(said({{"DB_PORT", "6543"}}) == Said::yes);
  CHECK(said({{"DB_PORT", "3307"}}) == Said::nothing);
  CHECK(said({{"DB_PORT", "3306"}}) == Said::no);
  CHECK(said({{"DB_CONNECTION", "pgsql"}}) == Said::yes);
  CHECK(said({{"DB_DIALECT", "mysql"}, {"DB_PORT", "5432"}}) == Said::no);
  CHECK(said({{"DB_HOST", "shop-postgres.internal"}}) == Said::yes);
  const Variables own{{{"PGHOST", "db"}, {"PGUSER", "u"}}}, redis{{{"REDIS_HOST", "cache"}}};
  CHECK(is_kind(Store::postgres, *store_parts(Store::postgres, own.look(), true), own.look()) == Said::yes);
  CHECK(is_kind(Store::redis, *store_parts(Store::redis, redis.look(), true), redis.look()) == Said::yes);
}
