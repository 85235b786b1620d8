#include "lib/release/lock.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <mutex>
#include <thread>

#include "tests/support/fakes.hpp"

using namespace codops;
using namespace codops::release;

namespace {

// One engine's lock, shared by the primitives that contenders make.
struct Engine {
  std::mutex mutex;
  std::optional<target::LockState> held;
  int next = 1;
  std::vector<std::string> written;
  std::function<void(const Limits&)> in_write;
  tests::ManualClock clock;
};

class FakePrimitive final : public target::LockPrimitive {
 public:
  explicit FakePrimitive(Engine& engine) : engine_{engine} {}
  std::optional<std::string> try_create(const target::LockOwner& owner, const Limits&) override {
    const std::lock_guard guard{engine_.mutex};
    if (engine_.held) return std::nullopt;
    engine_.held = target::LockState{std::to_string(engine_.next++), owner, std::nullopt, engine_.clock.now()};
    engine_.held->owner.since = engine_.clock.now();
    return engine_.held->token;
  }
  std::optional<target::LockState> inspect(const Limits&) override {
    const std::lock_guard guard{engine_.mutex};
    if (engine_.held) engine_.held->engine_now = engine_.clock.now();
    return engine_.held;
  }
  bool heartbeat(const std::string& token, const std::vector<target::StateStore::File>& files, const Limits& limits) override {
    const std::lock_guard guard{engine_.mutex};
    if (!engine_.held || engine_.held->token != token) return false;
    if (!files.empty() && engine_.in_write) engine_.in_write(limits);
    for (const auto& file : files) engine_.written.push_back(file.path);
    engine_.held->heartbeat = engine_.clock.now();
    return true;
  }
  void remove(const std::string& token, const Limits&) override {
    const std::lock_guard guard{engine_.mutex};
    if (engine_.held && engine_.held->token == token) engine_.held.reset();
  }

 private:
  Engine& engine_;
};

target::LockState state_of(const target::LockOwner& owner, Milliseconds heartbeat_age) {
  const WallTime now{std::chrono::hours{500000}};
  target::LockState state{"t", owner, now - heartbeat_age, now};
  state.owner.since = now - std::chrono::minutes{5};
  return state;
}

}  // namespace

TEST_CASE("a lock is judged by its process where that can be seen, else by its heartbeat on the engine's clock") {
  const auto here = this_process("deploy production v1");
  CHECK(here.pid == ::getpid());
  CHECK(process_alive(here.pid, here.start_time));
  CHECK_FALSE(process_alive(here.pid, here.start_time + 1));  // a reused pid
  const auto child = ::fork();
  if (child == 0) ::_exit(0);
  ::waitpid(child, nullptr, 0);
  CHECK_FALSE(process_alive(child, 1));  // not there at all (that one which can't be looked at is: scenario/lock.sh)
  // Killed, and its parent has not heard of it yet.
  std::array<int, 2> birth{};
  REQUIRE(::pipe(birth.data()) == 0);
  const auto zombie = ::fork();
  if (zombie == 0) {
    const auto born = this_process({}).start_time;
    (void)!::write(birth[1], &born, sizeof born);
    ::pause();
  }
  std::uint64_t born{};
  REQUIRE(::read(birth[0], &born, sizeof born) == sizeof born);
  CHECK(process_alive(zombie, born));
  ::kill(zombie, SIGKILL);
  siginfo_t info{};
  ::waitid(P_PID, static_cast<id_t>(zombie), &info, WEXITED | WNOWAIT);
  CHECK_FALSE(process_alive(zombie, born));
  ::waitpid(zombie, nullptr, 0);
  ::close(birth[0]);
  ::close(birth[1]);
  const auto alive = [](auto, auto) { return true; };
  const auto dead = [](auto, auto) { return false; };
  CHECK(judge(state_of(here, std::chrono::seconds{3}), here, alive) == Verdict::fresh);
  CHECK(judge(state_of(here, std::chrono::seconds{3}), here, dead) == Verdict::holder_dead);
  CHECK(judge(state_of(here, std::chrono::seconds{31}), here, alive) == Verdict::heartbeat_old);
  auto elsewhere = here;
  elsewhere.boot_id = "another machine";
  CHECK(judge(state_of(elsewhere, std::chrono::seconds{3}), here, dead) == Verdict::fresh);
  CHECK(judge(state_of(elsewhere, std::chrono::seconds{31}), here, dead) == Verdict::heartbeat_old);
  auto container = here;
  container.pid_namespace = "pid:[1]";
  CHECK(judge(state_of(container, std::chrono::seconds{3}), here, dead) == Verdict::fresh);
}

TEST_CASE("a fresh holder keeps others out and is named; a dead one is taken over") {
  Engine engine;
  const auto connect = [&] { return std::make_unique<FakePrimitive>(engine); };
  tests::RecordingReporter reporter;
  auto remote = this_process("deploy production v1");
  remote.boot_id = "another machine";
  remote.owner = "alice";
  REQUIRE(FakePrimitive{engine}.try_create(remote, {}));
  try {
    acquire(connect, this_process("rollback production"), {{}, "production"}, engine.clock, reporter, {});
    FAIL("two holders");
  } catch (const Failure& failure) {
    CHECK(failure.code() == Exit::locked);
    CHECK(failure.message().find("alice") != std::string::npos);
    CHECK(failure.message().find("deploy production v1") != std::string::npos);
    CHECK(failure.hint().find("ENV") == std::string::npos);
  }
  engine.clock.advance(std::chrono::seconds{31});
  const auto lock = acquire(connect, this_process("rollback production"), {}, engine.clock, reporter, {});
  CHECK(lock->token() == "2");
  CHECK(reporter.events.size() == 1);
  lock->release({});
  CHECK_FALSE(engine.held);
}

TEST_CASE("a holder that was evicted, or was stopped for long, notices before it mutates") {
  Engine engine;
  const auto connect = [&] { return std::make_unique<FakePrimitive>(engine); };
  tests::RecordingReporter reporter;
  const auto lock = acquire(connect, this_process("deploy production v1"), {}, engine.clock, reporter, {});
  CHECK_NOTHROW(lock->check());
  engine.clock.advance(std::chrono::minutes{5});  // SIGSTOP, SIGCONT
  CHECK_NOTHROW(lock->check());                   // nobody took it meanwhile: a heartbeat proves it
  engine.clock.advance(std::chrono::minutes{5});
  engine.held.reset();
  CHECK_THROWS_AS(lock->check(), Failure);
}

TEST_CASE("who was stopped for moments only asks before it changes something") {
  Engine engine;
  tests::RecordingReporter reporter;
  const auto lock = acquire([&] { return std::make_unique<FakePrimitive>(engine); }, this_process("deploy production v1"), {}, engine.clock, reporter, {});
  engine.clock.advance(std::chrono::seconds{3});
  engine.held->token = "another";
  CHECK_NOTHROW(lock->check());
  CHECK_THROWS_AS(lock->check(just_now), Failure);
}

TEST_CASE("who was evicted can't write to the state, however fresh its last heartbeat") {
  Engine engine;
  tests::RecordingReporter reporter;
  const auto lock = acquire([&] { return std::make_unique<FakePrimitive>(engine); }, this_process("deploy production v1"), {}, engine.clock, reporter, {});
  lock->write({{"a", "1"}}, {});
  engine.held->token = "another";
  CHECK_THROWS_AS(lock->write({{"b", "2"}}, {}), Failure);
  CHECK(engine.written == std::vector<std::string>{"a"});
}

TEST_CASE("what makes a run known is not cut off by a signal that comes meanwhile") {
  Engine engine;
  tests::RecordingReporter reporter;
  const auto lock = acquire([&] { return std::make_unique<FakePrimitive>(engine); }, this_process("deploy production v1"), {}, engine.clock, reporter, {});
  CancelSource signal;
  engine.in_write = [&](const Limits& limits) {
    signal.cancel(Exit::terminated);
    CHECK_NOTHROW(limits.within(Milliseconds{300}).wait(-1, 0));
  };
  CHECK_NOTHROW(lock->write_whole({{"a", "1"}}, {Deadline::never(), signal.token()}));
  CHECK(engine.written == std::vector<std::string>{"a"});
  // Once it is there nothing is written any more.
  CHECK_THROWS_AS(lock->write_whole({{"b", "2"}}, {Deadline::never(), signal.token()}), Failure);
  CHECK(engine.written == std::vector<std::string>{"a"});
  // An engine that hangs is not waited for for long.
  CancelSource second;
  engine.in_write = [&](const Limits& limits) {
    second.cancel(Exit::terminated);
    limits.wait(-1, 0);
  };
  try {
    lock->write_whole({{"c", "3"}}, {Deadline::never(), second.token()});
    FAIL("expected a failure");
  } catch (const Failure& failure) {
    CHECK(failure.code() == Exit::terminated);
  }
}

TEST_CASE("of twenty contenders exactly one holds the lock") {
  Engine engine;
  std::atomic<int> holders{0};
  std::vector<std::thread> contenders;
  std::mutex keep;
  std::vector<std::unique_ptr<HeldLock>> locks;
  for (int index = 0; index < 20; ++index) {
    contenders.emplace_back([&] {
      tests::RecordingReporter reporter;
      try {
        auto lock = acquire([&] { return std::make_unique<FakePrimitive>(engine); }, this_process("deploy x v1"), {}, engine.clock, reporter, {});
        ++holders;
        const std::lock_guard guard{keep};
        locks.push_back(std::move(lock));
      } catch (const Failure&) {
      }
    });
  }
  for (auto& contender : contenders) contender.join();
  CHECK(holders == 1);
}
