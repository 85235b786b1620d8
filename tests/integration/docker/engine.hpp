#pragma once
// A real engine for tests: the one DOCKER_HOST (or the context) names. Every object a test makes carries a label and
// goes with the fixture.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string>

#include "lib/engine/docker/api.hpp"

namespace codops::tests {

namespace docker = engine::docker;

inline const std::string test_label = "codops.test";
inline const std::string test_image = "codops-test/busybox:1";

inline std::string busybox_path() {
  if (const char* given = std::getenv("CODOPS_TEST_BUSYBOX")) return given;
  for (const char* path : {"/bin/busybox", "/usr/bin/busybox"}) {
    if (::access(path, R_OK) == 0) return path;
  }
  return {};
}

inline std::string read_file(const std::string& path) {
  std::ifstream file{path, std::ios::binary};
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

inline std::string busybox_rootfs() {
  std::vector<io::TarEntry> entries;
  for (const char* folder : {"bin", "etc", "tmp", "proc", "dev", "sys"}) {
    entries.push_back({.path = folder, .mode = 0755, .kind = io::TarEntry::Kind::directory});
  }
  entries.push_back({.path = "etc/passwd", .content = "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"});
  entries.push_back({.path = "bin/busybox", .content = read_file(busybox_path()), .mode = 0755});
  for (const char* tool : {"sh", "sleep", "cat", "echo", "nc", "true", "false", "test", "kill", "touch", "rm", "ls",
                           "head", "dd", "env", "id", "pwd", "seq", "wc", "mv", "mkdir", "trap", "httpd"}) {
    entries.push_back({.path = std::string{"bin/"} + tool, .mode = 0777, .kind = io::TarEntry::Kind::symlink, .link_target = "busybox"});
  }
  return io::write_tar(entries);
}

class Engine {
 public:
  // nullptr, with a message, when there is no engine to be had.
  static std::unique_ptr<Engine> find() {
    const char* required = std::getenv("CODOPS_REQUIRE_SERVICES");
    const bool must = required != nullptr && std::string_view{required} == "1";
    try {
      auto engine = std::make_unique<Engine>();
      engine->api.ping(engine->limits);
      if (busybox_path().empty()) throw Failure{Exit::unavailable, "no static busybox (package busybox-static)"};
      engine->prepare_image();
      return engine;
    } catch (const Failure& failure) {
      if (must) FAIL("needs a Docker engine: " << failure.message());
      MESSAGE("skipped: " << failure.message());
      return nullptr;
    }
  }

  Engine() : api{docker::resolve_endpoint(docker::process_environment())} {}
  ~Engine() {
    try {
      const docker::Filters mine{{"label", {test_label + "=" + run}}};
      for (const auto& container : api.containers(mine, true, limits)) api.remove_container(container.id, true, true, limits);
      for (const auto& network : api.networks(mine, limits)) api.remove_network(network.id, limits);
      for (const auto& volume : api.volumes(mine, limits)) api.remove_volume(volume.name, limits);
    } catch (const Failure& failure) {
      MESSAGE("left behind: " << failure.message());
    }
  }

  std::string name(const std::string& what) const { return "codops-test-" + run + "-" + what; }
  docker::Labels labels() const { return {{test_label, run}}; }

  // Created, not started.
  std::string create(const std::string& what, const std::vector<std::string>& argv, nlohmann::json extra = nlohmann::json::object()) {
    nlohmann::json body{{"Image", test_image}, {"Cmd", argv}, {"Labels", labels()}, {"StopTimeout", 1}};
    body.merge_patch(extra);
    return api.create_container(name(what), body, limits).id;
  }
  std::string run_container(const std::string& what, const std::vector<std::string>& argv, const nlohmann::json& extra = nlohmann::json::object()) {
    const auto id = create(what, argv, extra);
    api.start_container(id, limits);
    return id;
  }

  docker::Api api;
  Limits limits{Deadline::after(Milliseconds{60'000}), {}};
  std::string run = std::to_string(::getpid());

 private:
  void prepare_image() {
    if (api.find_image(test_image, limits)) return;
    const auto tar = busybox_rootfs();
    api.import_image(docker::parse_image_name(test_image), io::bytes_of(tar), {"CMD [\"sh\"]"}, limits);
  }
};

}  // namespace codops::tests
