#include "engine.hpp"

#include <set>

#include "lib/io/fd.hpp"
#include "lib/target/input.hpp"

using namespace codops;
using namespace codops::tests;
using namespace std::chrono_literals;
using nlohmann::json;

TEST_CASE("docker: version is negotiated and the engine describes itself") {
  const auto engine = Engine::find();
  if (!engine) return;
  const auto info = engine->api.info(engine->limits);
  CHECK(!docker::api_less(info.api_version, "1.40"));
  CHECK(!docker::api_less("1.47", info.api_version));
  CHECK(info.os == "linux");
  CHECK(info.memory_bytes > 0);
  const auto now = engine->api.client().ask_engine_now(engine->limits);
  const auto here = SystemClock{}.now();
  CHECK(std::chrono::abs(now - here) < 2s);
}

TEST_CASE("docker: a container's life") {
  const auto engine = Engine::find();
  if (!engine) return;
  auto& api = engine->api;
  const auto& limits = engine->limits;
  const auto id = engine->create("life", {"sh", "-c", "trap 'exit 7' TERM; echo up; echo oops >&2; while :; do sleep 0.05; done"},
                                 {{"HostConfig", {{"RestartPolicy", {{"Name", "unless-stopped"}}}}}});
  auto details = api.inspect_container(id, limits);
  CHECK(details.state == docker::RunState::created);
  CHECK(details.restart_policy == "unless-stopped");
  CHECK(details.labels.at(test_label) == engine->run);
  CHECK(!details.started);

  SUBCASE("the name is taken: 409") {
    try {
      engine->create("life", {"true"});
      FAIL("expected a conflict");
    } catch (const docker::ApiError& error) {
      CHECK(error.conflict());
    }
  }

  api.start_container(id, limits);
  api.start_container(id, limits);  // 304
  details = api.inspect_container(id, limits);
  CHECK(details.state == docker::RunState::running);
  CHECK(details.pid > 0);
  CHECK(details.started);
  CHECK(!details.finished);

  const auto listed = api.containers({{"label", {test_label + "=" + engine->run}}}, false, limits);
  REQUIRE(listed.size() == 1);
  CHECK(listed[0].id == id);
  CHECK(listed[0].name == engine->name("life"));

  api.set_restart_policy(id, "no", 0, limits);
  CHECK(api.inspect_container(id, limits).restart_policy == "no");
  api.rename_container(id, engine->name("renamed"), limits);
  CHECK(api.find_container(engine->name("renamed"), limits)->id == id);
  CHECK(!api.find_container(engine->name("life"), limits));
  CHECK(!api.top(id, limits).rows.empty());

  api.stop_container(id, 10s, limits);
  api.stop_container(id, 10s, limits);  // 304
  CHECK(api.wait_container(id, "not-running", limits) == 7);
  details = api.inspect_container(id, limits);
  CHECK(details.state == docker::RunState::exited);
  CHECK(details.exit_code == 7);
  CHECK(details.finished);

  std::string out, err;
  api.logs(id, {}, [&](std::string_view bytes) { out += bytes; }, [&](std::string_view bytes) { err += bytes; }, limits);
  CHECK(out == "up\n");
  CHECK(err == "oops\n");

  api.remove_container(id, true, true, limits);
  api.remove_container(id, true, true, limits);  // 404
  CHECK(!api.find_container(id, limits));
}

TEST_CASE("docker: logs of a terminal are not framed") {
  const auto engine = Engine::find();
  if (!engine) return;
  const auto id = engine->run_container("tty", {"echo", "plain"}, {{"Tty", true}});
  engine->api.wait_container(id, "not-running", engine->limits);
  std::string out;
  engine->api.logs(id, {.tail = 5}, [&](std::string_view bytes) { out += bytes; }, {}, engine->limits);
  CHECK(out == "plain\r\n");
}

TEST_CASE("docker: networks with pinned addresses and aliases") {
  const auto engine = Engine::find();
  if (!engine) return;
  auto& api = engine->api;
  const auto& limits = engine->limits;
  docker::NetworkSpec spec;
  spec.name = engine->name("net");
  spec.internal = true;
  spec.subnet = "10.211.77.0/24";
  spec.labels = engine->labels();
  const auto network = api.create_network(spec, limits);
  CHECK(api.find_network(spec.name, limits)->id == network);
  CHECK(api.find_network(spec.name, limits)->subnet == "10.211.77.0/24");
  CHECK(api.find_network(spec.name, limits)->internal);
  CHECK(!api.find_network(spec.name + "-none", limits));
  const auto id = engine->run_container("pinned", {"sleep", "60"}, {{"HostConfig", {{"NetworkMode", "none"}}}});
  api.disconnect_network("none", id, true, limits);
  api.connect_network(network, id, {"10.211.77.9", {"backend"}}, limits);
  const auto details = api.inspect_container(id, limits);
  REQUIRE(details.networks.contains(spec.name));
  const auto& attached = details.networks.at(spec.name);
  CHECK(attached.address == "10.211.77.9");
  CHECK(attached.configured_address == "10.211.77.9");
  CHECK(std::count(attached.aliases.begin(), attached.aliases.end(), "backend") == 1);
  CHECK(api.find_network(network, limits)->containers.at(id) == "10.211.77.9");
  try {
    api.create_network(spec, limits);
    FAIL("expected a conflict");
  } catch (const docker::ApiError& error) {
    CHECK(error.status() >= 400);
  }
  api.disconnect_network(network, id, true, limits);
  api.remove_network(network, limits);
  api.remove_network(network, limits);
}

TEST_CASE("docker: volumes") {
  const auto engine = Engine::find();
  if (!engine) return;
  auto& api = engine->api;
  const auto& limits = engine->limits;
  const auto name = engine->name("volume");
  const auto made = api.create_volume({.name = name, .labels = engine->labels()}, limits);
  CHECK(made.driver == "local");
  CHECK(api.create_volume({.name = name, .labels = engine->labels()}, limits).name == name);
  CHECK(api.find_volume(name, limits)->labels.at(test_label) == engine->run);
  CHECK(api.volumes({{"label", {test_label + "=" + engine->run}}}, limits).size() == 1);
  api.remove_volume(name, limits);
  api.remove_volume(name, limits);
  CHECK(!api.find_volume(name, limits));
}

TEST_CASE("docker: images are imported, tagged, built and removed") {
  const auto engine = Engine::find();
  if (!engine) return;
  auto& api = engine->api;
  const auto& limits = engine->limits;
  const auto tag = docker::parse_image_name("codops-test/tagged:" + engine->run);
  api.tag_image(test_image, tag, limits);
  const auto image = api.find_image(tag.familiar(), limits);
  REQUIRE(image);
  CHECK(image->id == api.find_image(test_image, limits)->id);
  CHECK(image->cmd == std::vector<std::string>{"sh"});
  CHECK(image->os == "linux");
  bool listed = false;
  for (const auto& summary : api.images({{"reference", {tag.familiar()}}}, limits)) listed = listed || summary.id == image->id;
  CHECK(listed);
  api.remove_image(tag.familiar(), false, limits);
  api.remove_image(tag.familiar(), false, limits);
  CHECK(!api.find_image(tag.familiar(), limits));

  const auto built_name = "codops-test/built:" + engine->run;
  const auto context = io::write_tar({{.path = "Dockerfile", .content = "FROM " + test_image + "\nARG WHAT\nRUN echo $WHAT > /made\n"}});
  std::string output;
  const auto id = api.build_image(io::bytes_of(context), {.tags = {built_name}, .args = {{"WHAT", "cheese"}}},
                                  [&](std::string_view text) { output += text; }, limits);
  CHECK(id.starts_with("sha256:"));
  CHECK(output.find("Step 1/3") != std::string::npos);
  CHECK(api.find_image(built_name, limits)->id == id);
  api.remove_image(built_name, true, limits);

  const auto broken = io::write_tar({{.path = "Dockerfile", .content = "FROM " + test_image + "\nRUN exit 3\n"}});
  CHECK_THROWS_AS(api.build_image(io::bytes_of(broken), {}, {}, limits), docker::ApiError);
}

TEST_CASE("docker: a pull that fails says so, though the engine answers 200 or not") {
  const auto engine = Engine::find();
  if (!engine) return;
  CHECK_THROWS_AS(engine->api.pull_image(docker::parse_image_name("127.0.0.1:1/no/such:v1"), {}, {}, engine->limits),
                  docker::ApiError);
  CHECK_THROWS_AS(engine->api.distribution(docker::parse_image_name("127.0.0.1:1/no/such:v1"), engine->limits),
                  docker::ApiError);
}

TEST_CASE("docker: archives go in and out of a container that never ran") {
  const auto engine = Engine::find();
  if (!engine) return;
  auto& api = engine->api;
  const auto& limits = engine->limits;
  const auto id = engine->create("archive", {"true"});
  const std::string big(300'000, 'x');
  api.put_archive(id, "/tmp", io::write_tar({{.path = "a/one.txt", .content = "eins", .mode = 0600}, {.path = "a/big", .content = big}, {.path = "a/ünïcode", .content = "u"}}), limits);
  std::string tar;
  REQUIRE(api.get_archive(id, "/tmp/a", [&](std::string_view bytes) { tar += bytes; }, limits));
  std::map<std::string, io::TarEntry> found;
  for (auto& entry : io::read_tar(io::bytes_of(tar), 1'000'000)) found[entry.path] = entry;
  CHECK(found.at("a/one.txt").content == "eins");
  CHECK(found.at("a/one.txt").mode == 0600);
  CHECK(found.at("a/big").content == big);
  CHECK(found.at("a/ünïcode").content == "u");
  CHECK(!api.get_archive(id, "/tmp/none", {}, limits));
  CHECK(api.stat_path(id, "/tmp/a/big", limits)->size == big.size());
  CHECK(!api.stat_path(id, "/tmp/none", limits));

  // Streamed, of unknown length.
  const auto streamed = io::write_tar({{.path = "streamed", .content = big}});
  api.put_archive(id, "/tmp", io::bytes_of(streamed), limits);
  CHECK(api.stat_path(id, "/tmp/streamed", limits)->size == big.size());
}

TEST_CASE("docker: exec, with and without input") {
  const auto engine = Engine::find();
  if (!engine) return;
  auto& api = engine->api;
  const auto& limits = engine->limits;
  const auto id = engine->run_container("exec", {"sleep", "60"});
  std::string out, err;
  const auto to_out = [&](std::string_view bytes) { out += bytes; };
  const auto to_err = [&](std::string_view bytes) { err += bytes; };

  CHECK(api.run_exec(id, {.argv = {"sh", "-c", "echo $GREETING; echo bad >&2; exit 4"}, .env = {"GREETING=hello"}}, {}, to_out, to_err, limits) == 4);
  CHECK(out == "hello\n");
  CHECK(err == "bad\n");

  out.clear();
  const std::string input(2'000'000, 'y');
  CHECK(api.run_exec(id, {.argv = {"cat"}}, io::bytes_of(input), to_out, to_err, limits) == 0);
  CHECK(out == input);

  // It ends before it has read everything.
  out.clear();
  CHECK(api.run_exec(id, {.argv = {"head", "-c", "3"}}, io::bytes_of(input), to_out, to_err, limits) == 0);
  CHECK(out == "yyy");

  out.clear();
  // An input that is silent holds nobody up.
  const auto silent = io::make_pipe();
  out.clear();
  CHECK(api.run_exec(id, {.argv = {"echo", "there"}}, [&silent](char*, std::size_t) -> std::size_t { throw target::NothingYet{silent.read.get()}; }, to_out, to_err, limits) == 0);
  CHECK(out == "there\n");
  out.clear();
  CHECK(api.run_exec(id, {.argv = {"id", "-u"}, .user = "nobody"}, {}, to_out, to_err, limits) == 0);
  CHECK(out == "65534\n");
  // A command that does not exist: the runtime's 126 or 127, or an error of the engine.
  try {
    CHECK(api.run_exec(id, {.argv = {"no-such-command"}}, {}, to_out, to_err, limits) >= 126);
  } catch (const docker::ApiError& error) {
    CHECK(error.status() >= 400);
  }
}

TEST_CASE("docker: events since a moment, cancelled at once") {
  const auto engine = Engine::find();
  if (!engine) return;
  auto& api = engine->api;
  const auto since = api.client().ask_engine_now(engine->limits);
  const auto id = engine->run_container("events", {"sh", "-c", "exit 5"});
  const auto stream = api.events({{"type", {"container"}}, {"container", {id}}}, since, engine->limits);
  std::vector<std::string> actions;
  while (actions.empty() || actions.back() != "die") {
    const auto event = stream->next(engine->limits);
    REQUIRE(event);
    CHECK(event->id == id);
    actions.push_back(event->action);
    if (event->action == "die") CHECK(event->attributes.at("exitCode") == "5");
  }
  CHECK(actions == std::vector<std::string>{"create", "start", "die"});
  CHECK_THROWS_AS(stream->next(engine->limits.within(50ms)), Failure);
}
