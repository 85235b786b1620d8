#include "lib/compose/load.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "lib/base/failure.hpp"

namespace fs = std::filesystem;
using namespace codops;
using namespace codops::compose;

namespace {

class Folder {
 public:
  Folder() : path_{fs::temp_directory_path() / fmt::format("codops-load-{}", getpid())} {
    fs::remove_all(path_);
    fs::create_directories(path_);
  }
  ~Folder() { fs::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  Folder& with(const std::string& file, std::string_view content) {
    fs::create_directories((path_ / file).parent_path());
    std::ofstream{path_ / file} << content;
    return *this;
  }
  LoadOptions options() const {
    LoadOptions options;
    options.project_dir = path_.string();
    options.project_name = "shop";
    return options;
  }
  std::string failure(const LoadOptions& options) const {
    try {
      load(options);
    } catch (const Failure& failure) {
      CHECK(failure.code() == Exit::config);
      auto message = failure.message();
      const auto prefix = path_.string() + "/";
      for (auto at = message.find(prefix); at != std::string::npos; at = message.find(prefix)) message.erase(at, prefix.size());
      return message;
    }
    return "none";
  }

 private:
  fs::path path_;
};

}  // namespace

TEST_CASE("a service arrives with types") {
  Folder folder;
  folder.with("compose.yaml", R"(
services:
  web:
    image: "web:${VERSION}"
    command: serve --port 80
    ports: ["8080:80"]
    environment: {A: 1, B: }
    mem_limit: 64m
    stop_grace_period: 1m30s
    depends_on: {db: {condition: service_healthy}}
    networks: {default: {aliases: [w]}}
    volumes: ["data:/d", "./conf:/c:ro"]
    deploy: {replicas: 3, update_config: {order: start-first}}
    healthcheck: {test: curl x, interval: 5s, retries: 2}
  db: {image: postgres:17}
volumes: {data: }
)");
  auto options = folder.options();
  options.extra["VERSION"] = "v2";
  const auto project = load(options);
  const auto& web = project.services.at("web");
  CHECK(web.image == "web:v2");
  CHECK(web.command == Texts{"serve", "--port", "80"});
  CHECK(web.entrypoint == std::nullopt);
  CHECK(web.ports.at(0).target == 80);
  CHECK(web.ports.at(0).published == "8080");
  CHECK(web.environment.at("A") == "1");
  CHECK(web.environment.at("B") == std::nullopt);
  CHECK(web.mem_limit == 64 << 20);
  CHECK(web.stop_grace_period == std::chrono::seconds{90});
  CHECK(web.depends_on.at("db").condition == Dependency::Condition::healthy);
  CHECK(web.networks.at("default").aliases == Texts{"w"});
  CHECK(web.volumes.at(1).type == "bind");
  CHECK(web.volumes.at(1).read_only);
  CHECK(web.volumes.at(1).source == options.project_dir + "/conf");
  CHECK(web.replicas() == 3);
  CHECK(web.deploy->update_config->order == "start-first");
  CHECK(web.healthcheck->retries == 2);
  CHECK(project.volumes.at("data").name == "shop_data");
  CHECK(project.networks.at("default").name == "shop_default");
}

TEST_CASE("everything that is wrong is told at once, with its place") {
  Folder folder;
  folder.with("compose.yaml",
              "services:\n  web:\n    imag: x\n    ports: [\"a:80\"]\n    healthcheck: {intervall: 5s}\n"
              "  db:\n    image: x\n    mem_limit: lots\n");
  const auto message = folder.failure(folder.options());
  CHECK(message.find("compose.yaml:3:5: unknown key \"imag\" in services.web; did you mean \"image\"?\n") != std::string::npos);
  CHECK(message.find("compose.yaml:4:13: the published port in \"a:80\" is not valid\n") != std::string::npos);
  CHECK(message.find("compose.yaml:5:19: unknown key \"intervall\" in services.web.healthcheck; did you mean \"interval\"?") !=
        std::string::npos);
  CHECK(message.find("compose.yaml:8:16: services.db.mem_limit is \"lots\", not a size") != std::string::npos);
}

TEST_CASE("references to what is not there are told with the nearest name") {
  Folder folder;
  folder.with("compose.yaml", "services: {web: {image: x, depends_on: [dbb]}, db: {image: y}}\n");
  CHECK(folder.failure(folder.options()) ==
        "compose.yaml:1:41: service \"web\" names the service \"dbb\", which is not in services");
}

TEST_CASE("a dependency whose profile is off, and a restart policy that there is none of, are told as that") {
  Folder folder;
  folder.with("compose.yaml", "services: {a: {image: x, depends_on: [b]}, b: {image: y, profiles: [p]}}\n");
  CHECK(folder.failure(folder.options()) == "compose.yaml:1:39: service \"a\" needs the service \"b\", whose profile is off");
  for (const char* good : {"no", "always", "unless-stopped", "on-failure", "'on-failure:3'"}) {
    folder.with("compose.yaml", fmt::format("services: {{a: {{image: x, restart: {}}}}}\n", good));
    CHECK(folder.failure(folder.options()) == "none");
  }
  for (const char* bad : {"sometimes", "'on-failure:'", "'on-failure:x'"}) {
    folder.with("compose.yaml", fmt::format("services: {{a: {{image: x, restart: {}}}}}\n", bad));
    CHECK(folder.failure(folder.options()).find("compose.yaml:1:35: services.a.restart is ") == 0);
  }
}

TEST_CASE("an environment's file wins over the shell when asked to, but for exceptions") {
  Folder folder;
  folder.with("compose.yaml", "services: {a: {image: \"$A-$B-$C-$D\"}}\n").with("prod.env", "A=file\nB=${A}2\nC=file\nD\n");
  auto options = folder.options();
  options.env_files = {options.project_dir + "/prod.env"};
  options.environment = {{"A", "shell"}, {"C", "shell"}, {"D", "shell"}};
  CHECK(load(options).services.at("a").image == "shell-shell2-shell-shell");
  options.env_file_wins = true;
  options.from_shell = {"C"};
  const auto project = load(options);
  CHECK(project.services.at("a").image == "file-file2-shell-shell");
  CHECK(project.overridden == Texts{"A"});
}

TEST_CASE("images can be given from outside") {
  Folder folder;
  folder.with("compose.yaml", "services: {a: {build: .}}\n");
  auto options = folder.options();
  options.images["a"] = "a@sha256:1";
  const auto project = load(options);
  CHECK(project.services.at("a").image == "a@sha256:1");
  CHECK(canonical_json(project, "a").find("a@sha256:1") != std::string::npos);
  options.images = {{"b", "x"}};
  CHECK(folder.failure(options) == "images.b names a service that the compose file does not have");
}

TEST_CASE("what codops does not act on is a warning, not silence") {
  Folder folder;
  folder.with("compose.yaml", "version: \"3\"\nservices:\n  a:\n    image: \"x$NONE\"\n    blkio_config: {weight: 5}\n    command: a && b\n");
  const auto warnings = load(folder.options()).warnings;
  REQUIRE(warnings.size() == 4);
  CHECK(warnings[0].find("\"NONE\" is not set") != std::string::npos);
  CHECK(warnings[1].find("\"version\" is obsolete") != std::string::npos);
  CHECK(warnings[2].find("5:5: codops does not act on services.a.blkio_config") != std::string::npos);
  CHECK(warnings[3].find("ends before its \"&\"") != std::string::npos);
}

TEST_CASE("the canonical definition changes with what changes a container, and only with that") {
  Folder folder;
  const auto definition = [&](std::string_view service) {
    folder.with("compose.yaml", fmt::format("services: {{a: {{image: x, {}}}}}", service));
    return canonical_json(load(folder.options()), "a");
  };
  const auto plain = definition("labels: {b: 1, c: 2}");
  CHECK(definition("labels: [c=2, b=1]") == plain);
  CHECK(definition("labels: {b: 1, c: 2}, scale: 3") == plain);
  CHECK(definition("labels: {b: 1, c: 3}") != plain);
}

TEST_CASE("an include of itself and an extends of itself end") {
  Folder folder;
  folder.with("compose.yaml", "include: [b.yaml]\nservices: {a: {image: x}}\n").with("b.yaml", "include: [compose.yaml]\n");
  CHECK(folder.failure(folder.options()).find("includes itself") != std::string::npos);
  folder.with("compose.yaml", "services: {a: {extends: b}, b: {extends: a}}\n");
  CHECK(folder.failure(folder.options()).find("extends itself") != std::string::npos);
}

TEST_CASE("project names follow docker compose's rule") {
  CHECK(normal_project_name("My Shop_1") == "myshop_1");
  CHECK(normal_project_name("_-x") == "x");
  CHECK(normal_project_name("日本").empty());
}
