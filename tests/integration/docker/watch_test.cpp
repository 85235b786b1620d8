#include "lib/engine/docker/watch.hpp"

#include "engine.hpp"

using namespace codops;
using namespace codops::tests;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

json health_check(const std::string& command) {
  return {{"Healthcheck", {{"Test", {"CMD-SHELL", command}}, {"Interval", 100'000'000}, {"Timeout", 1'000'000'000}, {"Retries", 2}}}};
}

}  // namespace

TEST_CASE("docker: a watch tells of health and exits") {
  const auto engine = Engine::find();
  if (!engine) return;
  const auto well = engine->create("well", {"sleep", "60"}, health_check("test -e /tmp/ready"));
  const auto short_lived = engine->create("short", {"sh", "-c", "sleep 0.2; exit 3"});
  std::vector<std::string> told;
  engine->api.start_container(well, engine->limits);
  engine->api.start_container(short_lived, engine->limits);
  engine->api.run_exec(well, {.argv = {"touch", "/tmp/ready"}}, {}, {}, {}, engine->limits);
  docker::wait_for(
      engine->api, {well, short_lived},
      [&](const docker::Present& present) {
        return present.at(well).details.health == docker::HealthState::healthy &&
               present.at(short_lived).details.state == docker::RunState::exited;
      },
      [&](const docker::Watched& watched) {
        if (watched.id == short_lived) told.push_back(watched.details.state == docker::RunState::exited ? "exited" : "running");
      },
      engine->limits);
  REQUIRE(!told.empty());
  CHECK(told.back() == "exited");
  CHECK(engine->api.inspect_container(short_lived, engine->limits).exit_code == 3);

  SUBCASE("out of its memory") {
    const auto hungry = engine->run_container("hungry", {"sh", "-c", "sleep 0.1; dd if=/dev/zero of=/dev/null bs=200M count=1"},
                                              {{"HostConfig", {{"Memory", 16 << 20}, {"MemorySwap", 16 << 20}}}});
    docker::wait_for(
        engine->api, {hungry},
        [&](const docker::Present& present) { return present.at(hungry).details.state == docker::RunState::exited; }, {},
        engine->limits);
    const auto details = engine->api.inspect_container(hungry, engine->limits);
    CHECK(details.exit_code != 0);
    if (details.exit_code == 137) CHECK(details.oom_killed);
  }
  SUBCASE("removed while it is watched") {
    docker::ContainerWatch watch{engine->api, {well}, engine->limits};
    CHECK(watch.next(engine->limits).size() == 1);
    engine->api.remove_container(well, true, true, engine->limits);
    for (;;) {
      const auto changed = watch.next(engine->limits);
      if (changed.at(0).gone) break;
    }
  }
  SUBCASE("the deadline ends it") {
    docker::ContainerWatch watch{engine->api, {well}, engine->limits};
    watch.next(engine->limits);
    const auto begin = std::chrono::steady_clock::now();
    CHECK_THROWS_AS(watch.next(engine->limits.within(80ms)), Failure);
    CHECK(std::chrono::steady_clock::now() - begin < 500ms);
  }
}
