#include "lib/ops/drill_container.hpp"

#include <doctest/doctest.h>

#include "lib/engine/docker/lock.hpp"
#include "lib/engine/docker/types.hpp"
#include "lib/ops/observed.hpp"

using namespace codops;
using engine::docker::RunState;

TEST_CASE("a drill's container that is left: of one that is no more, never of one that may live") {
  target::LockOwner here{.owner = "alice", .host = "shop1", .command = "drill", .boot_id = "b2", .pid_namespace = "pid:[1]", .pid = 100, .start_time = 7, .since = {}};
  const WallTime now{std::chrono::seconds{1'700'010'000}};
  const std::int64_t young = 1'700'009'990, old = 1'700'000'000;
  const auto left = [&](RunState state, const target::LockOwner& owner, std::optional<std::int64_t> created = {}) {
    engine::docker::ContainerSummary container;
    container.state = state;
    container.created = created.value_or(young);
    container.labels[ops::label_owner] = engine::docker::owner_text(owner);
    return ops::is_left(container, here, now, [](std::int64_t pid, std::uint64_t start_time) { return pid == 200 && start_time == 8; });
  };
  auto alive = here, dead = here, earlier = here, elsewhere = here;
  alive.pid = 200, alive.start_time = 8;
  dead.pid = 200, dead.start_time = 9;
  earlier.boot_id = "b1";
  elsewhere.host = "runner", elsewhere.boot_id = "b1";
  CHECK_FALSE(left(RunState::running, alive, old));
  CHECK_FALSE(left(RunState::created, alive, old));
  CHECK(left(RunState::running, dead));
  CHECK(left(RunState::created, dead));
  CHECK(left(RunState::running, earlier));
  CHECK(left(RunState::exited, alive));
  CHECK(left(RunState::exited, elsewhere));
  // Of another machine nothing is known: what runs stays, what never did may be about to.
  CHECK_FALSE(left(RunState::running, elsewhere, old));
  CHECK_FALSE(left(RunState::created, elsewhere));
  CHECK(left(RunState::created, elsewhere, old));
  // The same where this process sees another's numbers only.
  auto contained = here;
  contained.pid_namespace = "pid:[2]";
  CHECK_FALSE(left(RunState::running, contained, old));
}
