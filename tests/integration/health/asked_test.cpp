// What is asked on threads: commands, disks, containers, backups; and waiting for health.
#include <doctest/doctest.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "lib/health/run.hpp"
#include "tests/support/scripted_server.hpp"

using namespace codops;
using namespace codops::health;
using namespace std::chrono_literals;

namespace {

Outcome run_one(const Check& check, Milliseconds deadline = 10s) {
  return run({check}, {}, Limits{}.within(deadline)).outcomes.at(0);
}

}  // namespace

TEST_CASE("a command's exit code is the verdict") {
  CHECK(run_one(command_check("c", {"true"})).status == Status::ok);
  CHECK(run_one(command_check("c", {"sh", "-c", "exit 1"})).status == Status::warn);
  const auto failed = run_one(command_check("c", {"sh", "-c", "echo 'no orders at http://u:hunter2@h/' >&2; exit 2"}));
  CHECK(failed.status == Status::fail);
  CHECK(failed.message == "it exited with 2: no orders at http://u:***@h/");
  CHECK(run_one(command_check("c", {"sh", "-c", "exit 3"})).status == Status::unknown);
  CHECK(run_one(command_check("c", {"codops-no-such-program"})).status == Status::unknown);
}

TEST_CASE("a command that hangs is cut by the deadline") {
  const auto start = std::chrono::steady_clock::now();
  const auto report = run({command_check("c", {"sleep", "20"})}, {}, Limits{}.within(200ms));
  CHECK(std::chrono::steady_clock::now() - start < 3s);
  CHECK(report.exit() == Exit::deadline);
}

TEST_CASE("a command that takes too long fails, the same way every time, and nothing of it lives on") {
  const std::string mark = "41.0" + std::to_string(::getpid());  // seconds, told apart from anybody else's
  const auto alive = [&] {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator{"/proc"}) {
      std::ifstream file{entry.path() / "cmdline"};
      const std::string line{std::istreambuf_iterator<char>{file}, {}};  // empty for a zombie
      if (line.find(mark) != std::string::npos) ++count;
    }
    return count;
  };
  // Killed they are; on a busy machine a grandchild may yet have to get the processor to die.
  const auto gone = [&] {
    const auto patience = Limits{}.within(10s);
    while (alive() > 0 && !patience.deadline.expired()) patience.within(10ms).wait(-1, 0);
    return alive() == 0;
  };
  auto check = command_check("c", {"sh", "-c", "sleep " + mark + "; true"});
  check.timeout = 100ms;
  for (int i = 0; i < 20; ++i) {
    const auto report = run({check}, {}, Limits{}.within(10s));
    REQUIRE(report.exit() == Exit::unhealthy);
    REQUIRE(report.outcomes[0].message == "it did not end within 0.1 s");
    REQUIRE(gone());
  }
  check.timeout = 5s;
  std::vector<Check> many(16, check);
  for (std::size_t i = 0; i < many.size(); ++i) many[i].name += std::to_string(i);
  const auto report = run(many, {}, Limits{}.within(500ms));
  CHECK(report.exit() == Exit::deadline);
  for (const auto& outcome : report.outcomes) CHECK(outcome.message == "it had not ended when the deadline came");
  CHECK(gone());
}

TEST_CASE("a command's output: megabytes are no trouble, somebody left behind is not waited for") {
  CHECK(run_one(command_check("c", {"sh", "-c", "head -c 5000000 /dev/zero; head -c 5000000 /dev/zero >&2"})).status == Status::ok);
  const auto outcome = run_one(command_check("c", {"sh", "-c", "sleep 30 & echo the reason; exit 2"}));
  CHECK(outcome.message == "it exited with 2: the reason");
  CHECK(outcome.elapsed < 5s);
}

TEST_CASE("a question that ignores its limits is left behind") {
  Check check;
  check.name = "stuck";
  check.what = AskedCheck{"container", "engine", [](const Limits&) -> Finding {
                            Limits{}.within(Milliseconds{1500}).wait(-1, 0);
                            return {};
                          }};
  const auto start = std::chrono::steady_clock::now();
  CHECK(run({check}, {}, Limits{}.within(100ms)).exit() == Exit::deadline);
  CHECK(std::chrono::steady_clock::now() - start < 1s);
}

TEST_CASE("disk, container, backup age") {
  CHECK(run_one(disk_check("/", {{}, {}, {}, {}})).status == Status::ok);
  CHECK(run_one(disk_check("/nonexistent")).status == Status::unknown);
  const ListContainers list = [](const Limits&) {
    target::Container one, two;
    one.name = "shop-backend-1";
    two.name = "shop-backend-2";
    one.service = two.service = "backend";
    one.state = target::RunState::running;
    two.state = target::RunState::exited;
    return std::vector{one, two};
  };
  CHECK(run_one(container_check("shop-backend-1", list)).status == Status::ok);
  CHECK(run_one(container_check("backend", list)).message == "the container has stopped");
  CHECK(run_one(container_check("frontend", list)).status == Status::fail);
  const ListContainers dead = [](const Limits&) -> std::vector<target::Container> { throw Failure{Exit::unavailable, "the engine does not answer"}; };
  CHECK(run_one(container_check("backend", dead)).status == Status::unknown);
  const auto aged = [](std::optional<Milliseconds> age) {
    return run_one(backup_check("backup", [age](const Limits&) { return age; }, 24h, 48h)).status;
  };
  CHECK(aged(1h) == Status::ok);
  CHECK(aged(30h) == Status::warn);
  CHECK(aged(50h) == Status::fail);
  CHECK(aged(std::nullopt) == Status::fail);
}

TEST_CASE("waiting ends as soon as all is well, or at the deadline") {
  std::atomic<int> count{0};
  tests::ScriptedServer server{[&](tests::Peer& peer) {
    peer.read_request();
    peer.send(count++ < 2 ? tests::response("", "503 Service Unavailable") : tests::response("ok"));
  }};
  HttpCheck what;
  what.request.url = server.url();
  Check check;
  check.name = "web";
  check.what = what;
  int rounds = 0;
  CHECK(wait_until_healthy({check}, {}, Limits{}.within(20s), [&](const Report&) { ++rounds; }).healthy());
  CHECK(rounds == 3);
  std::get<HttpCheck>(check.what).expect_status = *StatusCodes::parse("204");
  CHECK(wait_until_healthy({check}, {}, Limits{}.within(400ms)).exit() == Exit::deadline);
}
