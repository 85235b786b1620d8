// Which pieces of an application's variables are a PostgreSQL's or a Redis'.
#include <doctest/doctest.h>

#include "lib/base/failure.hpp"
#include "lib/ops/store_kind.hpp"

using namespace codops;
using io::Store;

namespace {

compose::Service service(std::string name, std::string image, std::map<std::string, std::optional<std::string>> environment = {}) {
  compose::Service out;
  out.name = std::move(name);
  out.image = std::move(image);
  out.environment = std::move(environment);
  return out;
}

compose::Project project(std::vector<compose::Service> services) {
  compose::Project out;
  for (auto& one : services) out.services.emplace(one.name, one);
  return out;
}

std::string url(const compose::Project& project, Store store, bool asked = false) {
  const auto pieces = ops::in_pieces(store, project, project.services.at("app"), asked);
  return pieces ? pieces->url : std::string{};
}

}  // namespace

TEST_CASE("pieces lead to the compose file's own service") {
  const auto app = service("app", "shop/app:1", {{"DB_HOST", "store"}, {"DB_USER", "u"}, {"DB_PASSWORD", "p"}, {"DB_NAME", "d"}, {"REDIS_HOST", "cache"}});
  CHECK(url(project({app, service("store", "postgres:15"), service("cache", "redis:7")}), Store::postgres) == "postgresql://u:p@store/d");
  CHECK(url(project({app, service("store", "postgres:15"), service("cache", "redis:7")}), Store::redis) == "redis://cache");
  // Nobody said that it is one; a check or a deploy of another kind's would only fail.
  CHECK(url(project({app, service("store", "mysql:8")}), Store::postgres).empty());
  CHECK(url(project({app, service("store", "mysql:8")}), Store::postgres, true).empty());
  CHECK(url(project({app}), Store::postgres).empty());
  CHECK(url(project({app}), Store::postgres, true) == "postgresql://u:p@store/d");
}

TEST_CASE("a port that is none is told by its own variable") {
  const auto with = [](const char* port) {
    return url(project({service("app", "shop/app:1", {{"PGHOST", "db.example.com"}, {"PGPORT", port}, {"PGUSER", "u"}})}), Store::postgres);
  };
  CHECK(with("5432") == "postgresql://u@db.example.com:5432");
  CHECK(with("5432,5433") == "postgresql://u@db.example.com:5432,5433");
  for (const auto* port : {"tcp://1", "0", "65536", "5432,", "x"}) {
    CAPTURE(port);
    CHECK_THROWS_WITH_AS(with(port), fmt::format("PGPORT is no port: \"{}\"", port).c_str(), Failure);
  }
}

TEST_CASE("a store's own variables are no application's") {
  CHECK(url(project({service("app", "postgres:15", {{"POSTGRES_USER", "u"}, {"POSTGRES_DB", "d"}, {"PGHOST", "localhost"}})}), Store::postgres, true).empty());
  CHECK(url(project({service("app", "shop/app:1", {{"POSTGRES_USER", "u"}, {"POSTGRES_DB", "d"}})}), Store::postgres, true).empty());
  CHECK(url(project({service("app", "shop/app:1", {{"PGHOST", "db.example.com"}, {"PGUSER", "u"}, {"PGDATABASE", "d"}})}), Store::postgres) == "postgresql://u@db.example.com/d");
  CHECK(url(project({service("app", "shop/app:1", {{"PGHOST", "/run/postgresql"}, {"PGUSER", "u"}, {"PGDATABASE", "d"}})}), Store::postgres).empty());
}
