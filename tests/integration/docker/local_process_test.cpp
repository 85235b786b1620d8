// A container's first process, seen from its own machine: only where the engine is here and this is root, as in tests/run.sh.
#include <fcntl.h>

#include <csignal>
#include <filesystem>

#include "engine.hpp"
#include "lib/engine/docker/local_process.hpp"

using namespace codops;
using namespace codops::tests;
using docker::LocalProcess;

namespace {

docker::ContainerDetails started(Engine& engine, const std::string& what, const std::string& script) {
  const auto id = engine.run_container(what, {"sh", "-c", script});
  // Its shell has come as far as the script says.
  const auto up = [&] { return engine.api.run_exec(id, {.argv = {"test", "-e", "/tmp/up"}}, {}, {}, {}, engine.limits); };
  while (up() != 0) engine.limits.within(Milliseconds{20}).wait(-1, 0);
  return engine.api.inspect_container(id, engine.limits);
}

}  // namespace

TEST_CASE("docker: a process of a local container is known by its control group, and has children, folders and signals") {
  const auto engine = Engine::find();
  if (!engine) return;
  if (::geteuid() != 0) { MESSAGE("skipped: not root"); return; }
  auto details = started(*engine, "first", "trap 'echo hup >/tmp/hup' HUP; sleep 600 & mkdir /tmp/place; ln -s / /tmp/out; ln -s ../../../../tmp /tmp/up_and_out; touch /tmp/up; while :; do wait; done");
  const auto first = LocalProcess::of(details);
  REQUIRE(first);
  CHECK(first->title() == "sh");
  const auto children = first->children();
  REQUIRE(children.size() == 1);
  CHECK(children[0].title == "sleep");

  SUBCASE("another container's number is not taken for it") {
    auto other = details;
    other.id = std::string(64, '0');
    CHECK(!LocalProcess::of(other));
    other = details;
    other.pid = static_cast<int>(::getpid());
    CHECK(!LocalProcess::of(other));
    other.pid = 0;
    CHECK(!LocalProcess::of(other));
  }
  SUBCASE("a folder is the container's own, through links too") {
    const auto place = first->folder("/tmp/place");
    REQUIRE(place);
    REQUIRE(docker::replace_file(place, "file.new", "file", "one"));
    REQUIRE(docker::replace_file(place, "file.new", "file", "two"));
    std::string seen;
    const auto keep = [&](std::string_view bytes) { seen += bytes; };
    CHECK(engine->api.run_exec(details.id, {.argv = {"cat", "/tmp/place/file"}}, {}, keep, keep, engine->limits) == 0);
    CHECK(seen == "two");
    CHECK(!first->folder("/tmp/nowhere"));
    CHECK(!first->folder("/tmp/up"));
    for (const char* link : {"/tmp/out", "/tmp/up_and_out", "/../../.."}) {
      const auto inside = first->folder(link);
      REQUIRE(inside);
      REQUIRE(docker::replace_file(inside, "mark.new", "codops-mark-of-" + engine->run, "x"));
    }
    CHECK(!std::filesystem::exists("/codops-mark-of-" + engine->run));
    CHECK(!std::filesystem::exists("/tmp/codops-mark-of-" + engine->run));
  }
  SUBCASE("a link that waits under the temporary name is not followed") {
    const auto place = first->folder("/tmp/place");
    REQUIRE(place);
    CHECK(engine->api.run_exec(details.id, {.argv = {"busybox", "ln", "-s", "/etc/passwd", "/tmp/place/file.new"}}, {}, {}, {}, engine->limits) == 0);
    REQUIRE(docker::replace_file(place, "file.new", "file", "mine"));
    CHECK(engine->api.run_exec(details.id, {.argv = {"test", "-L", "/tmp/place/file"}}, {}, {}, {}, engine->limits) == 1);
  }
  SUBCASE("a signal reaches it, and nobody once it has ended") {
    CHECK(first->signal(SIGHUP));
    while (engine->api.run_exec(details.id, {.argv = {"test", "-e", "/tmp/hup"}}, {}, {}, {}, engine->limits) != 0) engine->limits.within(Milliseconds{20}).wait(-1, 0);
    engine->api.remove_container(details.id, true, true, engine->limits);
    CHECK(!first->signal(SIGHUP));
    CHECK(first->title().empty());
    CHECK(first->children().empty());
    CHECK(!first->folder("/tmp"));
    CHECK(!LocalProcess::of(details));
  }
}
