#include <random>
#include <thread>

#include "cluster.hpp"
#include "lib/engine/kubernetes/lock.hpp"
#include "lib/engine/kubernetes/state_store.hpp"

using namespace codops;
using namespace codops::tests;
using namespace codops::engine;
using namespace std::chrono_literals;

TEST_CASE("kubernetes: state lives in Secrets") {
  const auto cluster = Cluster::find("state");
  if (!cluster) return;
  const auto& limits = cluster->limits;
  kubernetes::SecretStore store{cluster->api, cluster->ns, "shop_One"};
  CHECK(!store.read("releases/1.json", limits));
  CHECK(store.read_all("", limits).empty());
  CHECK(kubernetes::SecretStore{cluster->api, "no-such-namespace", "shop"}.read_all("", limits).empty());

  store.write({{"releases/2.json", "two"}, {"releases/1.json", "one"}, {"journal/7/0001", "entry"}, {"empty", ""}}, limits);
  CHECK(store.read("releases/1.json", limits) == "one");
  CHECK(store.read("empty", limits) == "");
  CHECK(!store.read("releases", limits));
  CHECK(!store.read("releases/3.json", limits));
  auto files = store.read_all("releases", limits);
  REQUIRE(files.size() == 2);
  CHECK(files[0].path == "releases/1.json");
  CHECK(files[1].content == "two");
  CHECK(store.read_all("", limits).size() == 4);
  CHECK(kubernetes::SecretStore{cluster->api, cluster->ns, "other"}.read_all("", limits).empty());

  store.write({{"releases/1.json", "one again"}}, limits);
  CHECK(store.read("releases/1.json", limits) == "one again");

  SUBCASE("files and folders are removed, and may come back") {
    store.remove({"releases/1.json", "journal", "never/there"}, limits);
    CHECK(!store.read("releases/1.json", limits));
    CHECK(store.read("releases/2.json", limits) == "two");
    CHECK(store.read_all("journal", limits).empty());
    CHECK(store.read_all("", limits).size() == 2);
    store.write({{"releases/1.json", "back"}, {"journal/8/0001", "next"}}, limits);
    CHECK(store.read("releases/1.json", limits) == "back");
    files = store.read_all("journal", limits);
    REQUIRE(files.size() == 1);
    CHECK(files[0].path == "journal/8/0001");
  }
  SUBCASE("files of any size and content") {
    std::string large;
    std::mt19937 random{7};  // does not shrink
    for (int i = 0; i < 3'000'000; ++i) large += static_cast<char>(random());
    store.write({{"releases/big", large}, {"releases/text", std::string(5'000'000, 'x')}}, limits);
    CHECK(store.read("releases/big", limits) == large);
    CHECK(store.read("releases/text", limits) == std::string(5'000'000, 'x'));
    CHECK(store.read_all("releases", limits).size() == 4);
    const auto secrets = [&] { return cluster->api.list("v1", "Secret", cluster->ns, {}, limits).size(); };
    CHECK(secrets() == 6 + 4);  // heads, and 3 MB in parts of 900 KiB
    large[0] = static_cast<char>(large[0] + 1);
    store.write({{"releases/big", large}}, limits);
    CHECK(store.read("releases/big", limits) == large);
    CHECK(secrets() == 6 + 4);
    store.write({{"releases/big", "small"}}, limits);
    CHECK(store.read("releases/big", limits) == "small");
    CHECK(secrets() == 6);
    store.write({{"releases/big", large}}, limits);
    store.remove({"releases/big"}, limits);
    CHECK(secrets() == 5);
  }
  SUBCASE("what another has changed is not overwritten unseen") {
    kubernetes::SecretStore other{cluster->api, cluster->ns, "shop_One"};
    other.write({{"releases/1.json", "the other's"}}, limits);
    CHECK_THROWS_AS(store.write({{"releases/1.json", "mine"}}, limits), Failure);
    CHECK(store.read("releases/1.json", limits) == "the other's");
    store.write({{"releases/1.json", "mine"}}, limits);
    CHECK(other.read("releases/1.json", limits) == "mine");
    other.remove({"releases/1.json"}, limits);
    store.write({{"releases/1.json", "mine again"}}, limits);
    CHECK(other.read("releases/1.json", limits) == "mine again");
  }
  CHECK_THROWS_AS(store.write({{"../outside", "x"}}, limits), Failure);
}

TEST_CASE("kubernetes: the lock is held by one, fenced by its token, judged by the server's clock") {
  const auto cluster = Cluster::find("lock");
  if (!cluster) return;
  const auto& limits = cluster->limits;
  kubernetes::LeaseLock lock{cluster->api, cluster->ns, "shop_One", "deploy"};
  CHECK(!lock.inspect(limits));
  const target::LockOwner owner{"alice", "laptop", "deploy production v1", "boot", "4026531836", 4711, 99, {}};
  const auto token = lock.try_create(owner, limits);
  REQUIRE(token);
  CHECK(!lock.try_create(owner, limits));
  CHECK(kubernetes::LeaseLock{cluster->api, cluster->ns, "shop_One", "backup"}.try_create(owner, limits));

  auto state = lock.inspect(limits);
  REQUIRE(state);
  CHECK(state->token == *token);
  CHECK(state->owner.owner == "alice");
  CHECK(state->owner.command == "deploy production v1");
  CHECK(state->owner.pid == 4711);
  CHECK(state->owner.start_time == 99);
  CHECK(!state->heartbeat);
  CHECK(std::chrono::abs(state->engine_now - state->owner.since) < 10s);

  CHECK(lock.heartbeat(*token, {}, limits));
  state = lock.inspect(limits);
  REQUIRE(state->heartbeat);
  CHECK(state->engine_now - *state->heartbeat < 5s);
  CHECK(state->engine_now >= *state->heartbeat);

  kubernetes::SecretStore store{cluster->api, cluster->ns, "shop_One"};
  CHECK(lock.heartbeat(*token, {{"journal/1", "written"}}, limits));
  CHECK(store.read("journal/1", limits) == "written");
  lock.remove(*token, limits);
  lock.remove(*token, limits);
  CHECK(!lock.heartbeat(*token, {{"journal/2", "too late"}}, limits));
  CHECK(!store.read("journal/2", limits));
  CHECK(!lock.heartbeat(*token, {}, limits));
  CHECK(!lock.inspect(limits));
  const auto second = lock.try_create(owner, limits);
  REQUIRE(second);
  CHECK(*second != *token);
  CHECK(!lock.heartbeat(*token, {}, limits));
  lock.remove(*token, limits);  // not ours any more
  CHECK(lock.inspect(limits)->token == *second);
}

TEST_CASE("kubernetes: of 20 contenders one gets the lock") {
  const auto cluster = Cluster::find("contest");
  if (!cluster) return;
  std::atomic<int> won{0}, lost{0};
  {
    std::vector<std::jthread> contenders;
    for (int i = 0; i < 20; ++i) {
      contenders.emplace_back([&, i] {
        kubernetes::LeaseLock lock{cluster->api, cluster->ns, "shop", "deploy"};
        (lock.try_create({"x", "y", "z", "b", "p", i, 1, {}}, cluster->limits) ? won : lost)++;
      });
    }
  }
  CHECK(won == 1);
  CHECK(lost == 19);
}
