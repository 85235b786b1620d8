#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "engine.hpp"
#include "lib/engine/docker/lock.hpp"
#include "lib/engine/docker/objects.hpp"
#include "lib/engine/docker/state_folder.hpp"
#include "lib/engine/docker/state_store.hpp"

using namespace codops;
using namespace codops::tests;
using namespace std::chrono_literals;

namespace {

// Removes what a project left, whatever the test did.
struct Project {
  explicit Project(Engine& owner, const std::string& what) : engine{owner}, name{"test-" + owner.run + "-" + what} {}
  ~Project() {
    const docker::Filters mine{{"label", {std::string{docker::project_label} + "=" + name}}};
    for (const auto& container : engine.api.containers(mine, true, engine.limits)) {
      engine.api.remove_container(container.id, true, true, engine.limits);
    }
    for (const auto& volume : engine.api.volumes(mine, engine.limits)) engine.api.remove_volume(volume.name, engine.limits);
  }
  Engine& engine;
  std::string name;
};

}  // namespace

TEST_CASE("docker: state lives in a volume and survives what a prune takes") {
  const auto engine = Engine::find();
  if (!engine) return;
  const auto& limits = engine->limits;
  Project project{*engine, "state"};
  docker::StateVolume store{engine->api, project.name};

  // Reading makes nothing.
  CHECK(!store.read("releases/1.json", limits));
  CHECK(store.read_all("", limits).empty());
  CHECK(!engine->api.find_volume(store.name(), limits));
  CHECK(!engine->api.find_container(store.name(), limits));

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
  SUBCASE("the container was pruned") {
    engine->api.remove_container(store.name(), true, false, limits);
    CHECK(store.read("releases/2.json", limits) == "two");
    engine->api.remove_container(store.name(), true, false, limits);
    store.write({{"more", "more"}}, limits);
    CHECK(store.read_all("", limits).size() == 5);
  }
  SUBCASE("it is read where it is when that is this machine, and that very folder") {
    const auto stat = engine->api.stat_path(store.name(), std::string{docker::StateVolume::folder}, limits);
    const auto volume = engine->api.find_volume(store.name(), limits);
    REQUIRE(stat);
    REQUIRE(volume);
    const auto folder = docker::open_state_folder(volume->mountpoint, *stat);
    REQUIRE(folder);
    CHECK(docker::read_state_file(folder, "releases/2.json", 100) == "two");
    CHECK(!docker::read_state_file(folder, "releases", 100));
    CHECK(!docker::read_state_file(folder, "releases/2.json/more", 100));
    CHECK(!docker::read_state_file(folder, "never/there", 100));
    CHECK_THROWS_AS(docker::read_state_file(folder, "releases/2.json", 2), Failure);
    CHECK(docker::read_state_files(folder, "", 100).size() == 4);
    CHECK(docker::read_state_files(folder, "releases/2.json", 100).empty());
    CHECK(docker::read_state_files(folder, "never", 100).empty());
    CHECK_THROWS_AS(docker::read_state_files(folder, "", 5), Failure);
    // What is no regular file is none of the state, and nothing to wait for.
    std::filesystem::create_symlink("/etc/hostname", volume->mountpoint + "/releases/link");
    std::filesystem::create_directory_symlink("/etc", volume->mountpoint + "/etc");
    REQUIRE(::mkfifo((volume->mountpoint + "/releases/pipe").c_str(), 0600) == 0);
    CHECK(!docker::read_state_file(folder, "releases/link", 100));
    CHECK(!docker::read_state_file(folder, "releases/pipe", 100));
    CHECK(!docker::read_state_file(folder, "etc/hostname", 100));
    CHECK(docker::read_state_files(folder, "", 100).size() == 4);
    // The folder of another machine at the same place.
    std::filesystem::create_directory(volume->mountpoint + "/changed");
    CHECK(!docker::open_state_folder(volume->mountpoint, *stat));
    CHECK(!docker::open_state_folder(volume->mountpoint + "/none", *stat));
    CHECK(!docker::open_state_folder("", *stat));
  }
  SUBCASE("a foreign container has the name") {
    engine->api.remove_container(store.name(), true, false, limits);
    engine->api.create_container(store.name(), {{"Image", test_image}, {"Cmd", {"true"}}, {"Labels", {{"codops.project", project.name}}}}, limits);
    CHECK_THROWS_AS(store.write({{"more", "more"}}, limits), Failure);
  }
  CHECK_THROWS_AS(store.write({{"../outside", "x"}}, limits), Failure);
}

TEST_CASE("docker: the lock is held by one, fenced by its token") {
  const auto engine = Engine::find();
  if (!engine) return;
  const auto& limits = engine->limits;
  Project project{*engine, "lock"};
  docker::LockContainer lock{engine->api, project.name, "deploy"};
  CHECK(!lock.inspect(limits));
  const target::LockOwner owner{"alice", "laptop", "deploy production v1", "boot", "4026531836", 4711, 99, {}};
  const auto token = lock.try_create(owner, limits);
  REQUIRE(token);
  CHECK(!lock.try_create(owner, limits));
  CHECK(docker::LockContainer{engine->api, project.name, "backup"}.try_create(owner, limits));

  auto state = lock.inspect(limits);
  REQUIRE(state);
  CHECK(state->token == *token);
  CHECK(state->owner.owner == "alice");
  CHECK(state->owner.command == "deploy production v1");
  CHECK(state->owner.pid == 4711);
  CHECK(state->owner.start_time == 99);
  CHECK(!state->heartbeat);
  CHECK(std::chrono::abs(state->engine_now - state->owner.since) < 10s);

  CHECK(lock.heartbeat(*token, {{"meta/a", "1"}, {"meta/b/c", "2"}}, limits));
  docker::StateVolume volume{engine->api, project.name};
  CHECK(volume.read("meta/a", limits) == "1");
  CHECK(volume.read("meta/b/c", limits) == "2");
  state = lock.inspect(limits);
  REQUIRE(state->heartbeat);
  CHECK(state->engine_now - *state->heartbeat < 5s);
  CHECK(state->engine_now >= *state->heartbeat);

  lock.remove(*token, limits);
  lock.remove(*token, limits);
  CHECK(!lock.heartbeat(*token, {{"meta/late", "3"}}, limits));
  CHECK(!volume.read("meta/late", limits));
  CHECK(!lock.inspect(limits));
  const auto second = lock.try_create(owner, limits);
  REQUIRE(second);
  CHECK(*second != *token);
  lock.remove(*token, limits);  // not ours any more
  CHECK(lock.inspect(limits)->token == *second);
}

TEST_CASE("docker: of 20 contenders one gets the lock") {
  const auto engine = Engine::find();
  if (!engine) return;
  Project project{*engine, "contest"};
  std::atomic<int> won{0}, lost{0};
  {
    std::vector<std::jthread> contenders;
    for (int i = 0; i < 20; ++i) {
      contenders.emplace_back([&] {
        docker::LockContainer lock{engine->api, project.name, "deploy"};
        (lock.try_create({"x", "y", "z", "b", "p", i, 1, {}}, engine->limits) ? won : lost)++;
      });
    }
  }
  CHECK(won == 1);
  CHECK(lost == 19);
}
