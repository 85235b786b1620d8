#include "lib/settings/settings.hpp"

#include <doctest/doctest.h>

#include "lib/base/failure.hpp"
#include "lib/io/files.hpp"
#include "lib/settings/unset.hpp"

using namespace codops;
using namespace codops::settings;

namespace {

// A project on disk, with the settings read from it.
class Fixture {
 public:
  Fixture& file(const std::string& name, const std::string& content) {
    std::filesystem::create_directories((folder_.path() / name).parent_path());
    io::write_file(folder_.path() / name, content);
    return *this;
  }
  Sources sources;
  Settings load() {
    sources.directory = folder_.path();
    return Settings::load(sources);
  }
  std::vector<std::string> problems() {
    std::vector<std::string> lines;
    const auto loaded = load();
    for (const auto& problem : loaded.problems()) lines.push_back(describe(problem));
    return lines;
  }
  const std::filesystem::path& path() const { return folder_.path(); }

 private:
  io::TemporaryFolder folder_;
};

Failure failure_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Failure& failure) {
    return failure;
  }
  FAIL("nothing was thrown");
  return {Exit::bug, {}};
}

}  // namespace

TEST_CASE("files and programs of health checks are the project's, wherever one stands") {
  Fixture project;
  project.file("codops.yaml", R"(health:
  checks:
    a: {url: "https://h/", ca: certs/ca.pem, certificate: certs/c.pem, key: /etc/c.key}
    b: {command: [./scripts/check, orders]}
    c: {command: [sh, -c, ./x]}
    d: {disk: data}
)").file(".env.production", "A=1");
  for (const auto& check : project.load().environment("production").health.checks) {
    const auto in = [&](const char* path) { return (project.path() / path).string(); };
    if (check.name == "a") CHECK(std::vector{check.ca, check.certificate, check.key} == std::vector{in("certs/ca.pem"), in("certs/c.pem"), std::string{"/etc/c.key"}});
    if (check.name == "b") CHECK(check.command == std::vector{in("scripts/check"), std::string{"orders"}});
    if (check.name == "c") CHECK(check.command == std::vector<std::string>{"sh", "-c", "./x"});
    if (check.name == "d") CHECK(check.target == in("data"));
  }
}

TEST_CASE("a variable that is not set does not become nothing in a check") {
  Fixture project;
  project.file("codops.yaml", "environments: {production: {health: {checks: {\n  a: {url: 'http://h/', body: 'x ${NOPE_XY}'},\n  b: {url: 'http://h/', body: '${NOPE_XY:-}ok', headers: {A: '$$x'}}}}}}\n");
  const auto checks = project.load().environment("production").health.checks;
  REQUIRE(checks.size() == 2);
  CHECK(checks[0].body == unset_mark + std::string{"NOPE_XY"});
  CHECK(checks[1].body == "ok");
  CHECK(checks[1].headers.at("A") == "$x");
}

TEST_CASE("files of the project that can't be read are wrong settings, found by themselves or named") {
  const auto code_with = [](const std::string& unreadable, bool named) {
    Fixture fixture;
    fixture.file(unreadable + "/x", "");  // a folder in its place: root reads everything else
    if (named) fixture.sources.file = fixture.path() / unreadable;
    return failure_of([&] { fixture.load().environment("production"); }).code();
  };
  CHECK(code_with("codops.yaml", false) == Exit::config);
  CHECK(code_with("codops.yaml", true) == Exit::config);
  CHECK(code_with("codops.production.yaml", false) == Exit::config);
  Fixture fixture;
  fixture.file(".env.production/x", "").file("codops.yaml", "health: {checks: {site: {url: \"http://${SITE}/\"}}}\n");
  CHECK(failure_of([&] { fixture.load().environment("production"); }).code() == Exit::config);
}

TEST_CASE("without codops.yaml the seed's layout works") {
  Fixture project;
  project.file("docker-compose.prod.yml", "").file("docker-compose.yml", "").file(".env.production", "A=1");
  project.file(".env.demo", "A=1").file(".env.example", "A=1");
  const auto loaded = project.load();
  CHECK(loaded.problems().empty());
  CHECK(loaded.project().environments == std::vector<std::string>{"demo", "development", "production", "staging"});

  const auto production = loaded.environment("production");
  CHECK(production.engine == Engine::docker);
  CHECK(production.compose_files == std::vector{(project.path() / "docker-compose.prod.yml").string()});
  CHECK(production.env_files == std::vector{(project.path() / ".env.production").string()});
  CHECK(production.backup.before_deploy);
  CHECK(production.backup.store == "/backups");
  CHECK(production.backup.retention.days == 7);
  CHECK_FALSE(production.backup.retention.count);
  CHECK(production.backup.retention.keep_min == 1);
  CHECK(production.timeouts.ready == std::chrono::seconds{60});
  CHECK_FALSE(production.timeouts.stop);

  const auto development = loaded.environment("development");
  CHECK(development.compose_files == std::vector{(project.path() / "docker-compose.yml").string()});
  CHECK(development.env_files.empty());
  CHECK_FALSE(development.backup.before_deploy);

  // What setup-dev makes; a file for development alone comes first.
  project.file(".env", "A=1");
  CHECK(project.load().environment("development").env_files == std::vector{(project.path() / ".env").string()});
  CHECK(project.load().environment("staging").env_files.empty());
  project.file(".env.development", "A=1");
  CHECK(project.load().environment("development").env_files == std::vector{(project.path() / ".env.development").string()});
}

TEST_CASE("settings: compose files as docker compose finds them") {
  Fixture project;
  const auto files_of = [&](const char* name) {
    const auto environment = project.load().environment(name);
    std::vector<std::string> names;
    for (const auto& file : environment.compose_files) names.push_back(std::filesystem::path{file}.filename());
    return names;
  };
  using Names = std::vector<std::string>;
  project.file("docker-compose.yml", "").file("docker-compose.override.yml", "").file(".env.production", "A=1").file(".env.staging", "COMPOSE_FILE=docker-compose.yml:more.yml\n");
  CHECK(files_of("production") == Names{"docker-compose.yml", "docker-compose.override.yml"});
  CHECK(files_of("staging") == Names{"docker-compose.yml", "more.yml"});
  project.file("docker-compose.prod.yml", "");
  CHECK(files_of("production") == Names{"docker-compose.prod.yml"});
  CHECK(files_of("staging") == Names{"docker-compose.yml", "more.yml"});
  project.file("codops.yaml", "environments: {staging: {compose_files: [own.yml]}}\n");
  CHECK(files_of("staging") == Names{"own.yml"});
}

TEST_CASE("settings: COMPOSE_FILE of the shell is told, and followed where env_from_shell lists it") {
  Fixture project;
  project.file("docker-compose.yml", "").file("docker-compose.override.yml", "").file(".env.production", "A=1");
  project.sources.variables["COMPOSE_FILE"] = "docker-compose.yml:docker-compose.dev.yml";
  const auto load = [&] { return project.load().environment("production"); };
  CHECK(load().compose_files.back() == (project.path() / "docker-compose.override.yml").string());
  CHECK(load().compose_file_passed_over == "docker-compose.yml:docker-compose.dev.yml");
  project.sources.variables["COMPOSE_FILE"] = "./docker-compose.yml;docker-compose.override.yml";
  project.sources.variables["COMPOSE_PATH_SEPARATOR"] = ";";
  CHECK(load().compose_file_passed_over.empty());
  project.sources.variables["COMPOSE_FILE"] = "mine.yml";
  project.file("codops.yaml", "env_from_shell: [COMPOSE_FILE]\n");
  CHECK(load().compose_files == std::vector<std::string>{(project.path() / "mine.yml").string()});
  CHECK(load().compose_file_passed_over.empty());
  project.file("codops.yaml", "compose_files: [own.yml]\n");
  CHECK(load().compose_file_passed_over.empty());
}

TEST_CASE("manifests alone mean Kubernetes; a compose file wins; engine: wins over both") {
  Fixture project;
  project.file("k8s/app.yaml", "");
  CHECK(project.load().environment("production").engine == Engine::kubernetes);
  project.file("compose.yaml", "");
  CHECK(project.load().environment("production").engine == Engine::docker);
  project.file("codops.yaml", "engine: kubernetes\n");
  CHECK(project.load().environment("production").engine == Engine::kubernetes);
}

TEST_CASE("what codops.yaml does not say is what the structs say") {
  Fixture project;
  const auto environment = project.load().environment("staging");
  CHECK(environment.backup == Backup{});
  CHECK(environment.migrate == Migrate{});
  CHECK(environment.health == Health{});
  CHECK(environment.setup_dev == SetupDev{});
}

TEST_CASE("each layer wins over the one below, and values know their origin") {
  Fixture project;
  const auto monitor = [&] {
    const auto values = project.load().values("production");
    return values.text("monitor") + " from " + describe(values.find("monitor")->origin);
  };
  CHECK(monitor() == "10s from built-in");
  project.file("codops.yaml", "monitor: 1s\n");
  CHECK(monitor() == "1s from codops.yaml:1:10");
  project.file("codops.yaml", "monitor: 1s\nenvironments:\n  production:\n    monitor: 2s\n");
  CHECK(monitor() == "2s from codops.yaml:4:14");
  project.file("codops.production.yaml", "monitor: 3s\n");
  CHECK(monitor() == "3s from codops.production.yaml:1:10");
  project.sources.variables["CODOPS_MONITOR"] = "4s";
  CHECK(monitor() == "4s from CODOPS_MONITOR");
  project.sources.set = {"monitor=5s"};
  CHECK(monitor() == "5s from --set");
  CHECK(project.load().environment("production").monitor == std::chrono::seconds{5});
}

TEST_CASE("a higher layer replaces a list of maps as a whole and merges maps by key") {
  Fixture project;
  project.file("codops.yaml", R"(
hooks:
  pre_deploy:
    - run: [a]
      timeout: 1s
    - run: [b]
readiness:
  api.v1: {path: /ready}
environments:
  production:
    hooks:
      pre_deploy:
        - run: [c]
    readiness:
      web: {port: 80}
  staging:
    hooks:
      pre_deploy: []
)");
  const auto production = project.load().environment("production");
  REQUIRE(production.hooks.pre_deploy.size() == 1);
  CHECK(production.hooks.pre_deploy[0].run == std::vector<std::string>{"c"});
  CHECK(production.hooks.pre_deploy[0].timeout == std::chrono::minutes{5});
  REQUIRE(production.readiness.size() == 2);
  CHECK(production.readiness.at("api.v1").path == "/ready");
  CHECK(production.readiness.at("api.v1").status == 200);
  CHECK(production.readiness.at("web").port == 80);
  CHECK(project.load().environment("staging").hooks.pre_deploy.empty());
}

TEST_CASE("everything wrong is told at once, with its place and what was probably meant") {
  Fixture project;
  project.file("codops.yaml", R"(monitr: 3s
proxy:
  servce: nginx
  upstreams: [a, b]
keep_releases: many
old_set: runing
hooks:
  pre_deploy:
    - run: npm test
    - npm
environments:
  production:
    monitor: soon
    host:
)");
  project.file("codops.staging.yaml", "protected: yes\n");
  CHECK(project.problems() ==
        std::vector<std::string>{
            "codops.staging.yaml:1:12: protected takes true or false, not \"yes\"",
            "codops.yaml:1:1: unknown key \"monitr\"; did you mean \"monitor\"?",
            "codops.yaml:3:3: unknown key \"servce\" in proxy; did you mean \"service\"?",
            "codops.yaml:4:14: proxy.upstreams takes one value, not a list",
            "codops.yaml:5:16: keep_releases takes a whole number, not \"many\"",
            "codops.yaml:6:10: old_set is one of stopped, running, not \"runing\"; did you mean \"running\"?",
            "codops.yaml:9:12: hooks.pre_deploy[0].run is a list of words, not text; codops runs no shell: write "
            "[\"npm\", \"run\", \"seed\"]",
            "codops.yaml:10:7: hooks.pre_deploy[1] is a mapping, not text; write - run: …",
            "codops.yaml:13:14: monitor takes a duration such as 90s or 1h30m, not \"soon\"",
            "codops.yaml:14:5: host has no value; remove the line to keep what is built in",
        });
  const auto failure = failure_of([&] { (void)project.load().environment("production"); });
  CHECK(failure.code() == Exit::config);
  CHECK(failure.message().find("10 problems") != std::string::npos);
}

TEST_CASE("a key in the wrong place is pointed to its own") {
  Fixture project;
  project.file("codops.yaml", "url_variable: X\n");
  CHECK(project.problems() == std::vector<std::string>{
                                  "codops.yaml:1:1: unknown key \"url_variable\"; there is \"notify[].url_variable\""});
}

TEST_CASE("keys that begin with x- are the user's own, anchors included") {
  Fixture project;
  project.file("codops.yaml", "x-common: &c {monitor: 7s}\nenvironments:\n  production:\n    <<: *c\n");
  CHECK(project.load().environment("production").monitor == std::chrono::seconds{7});
}

TEST_CASE("variables and --set are checked like the files") {
  Fixture project;
  project.sources.variables = {{"CODOPS_KEEP_RELEASES", "x"}, {"CODOPS_STATEFUL", "a, b"}, {"CODOPS_MONITR", "1s"},
                               {"CODOPS_REQUIRE_SERVICES", "1"}, {"CODOPS_HOST", ""}};
  project.sources.set = {"proxy.servic=nginx", "monitor", "readiness.web.port=99999"};
  const auto loaded = project.load();
  std::vector<std::string> lines;
  for (const auto& problem : loaded.problems()) lines.push_back(describe(problem));
  CHECK(lines == std::vector<std::string>{
                     "CODOPS_KEEP_RELEASES: keep_releases takes a whole number, not \"x\"",
                     "--set: unknown key \"proxy.servic\"; did you mean \"proxy.service\"?",
                     "--set: \"monitor\" has no value; write --set key=value",
                     "--set: readiness.web.port takes a port, 1 to 65535, not \"99999\"",
                 });
  REQUIRE(loaded.warnings().size() == 1);
  CHECK(loaded.warnings()[0].hint == "did you mean \"CODOPS_MONITOR\"?");
  CHECK(loaded.values().list("stateful") == std::vector<std::string>{"a", "b"});
}

TEST_CASE("only listed environments exist; others fail with the nearest and the known") {
  Fixture project;
  project.file("codops.yaml", "environments:\n  production: {}\n  staging:\n");
  project.file(".env.demo", "");
  const auto failure = failure_of([&] { (void)project.load().environment("prodution"); });
  CHECK(failure.code() == Exit::config);
  CHECK(failure.message() == "unknown environment \"prodution\"");
  CHECK(failure.hint() == "did you mean \"production\"? codops.yaml has production, staging");
  CHECK_THROWS_AS((void)project.load().environment("demo"), Failure);
  CHECK_THROWS_AS((void)project.load().environment("../x"), Failure);
}

TEST_CASE("a sub-verb's name and a path can't name an environment") {
  Fixture project;
  project.sources.reserved = {"list"};
  project.file("codops.yaml", "environments:\n  list: {}\n  a/b: {}\n");
  CHECK(project.problems().size() == 2);
}

TEST_CASE("variables in values: the environment's file wins over the shell, types are checked after") {
  Fixture project;
  project.file("codops.yaml",
               "front_door: {url: 'http://localhost:${PORT:-80}/', status: '${STATUS}'}\nhost: ${HOST_VAR}\n");
  project.file(".env.production", "PORT=8443\n");
  project.sources.variables = {{"PORT", "1"}, {"STATUS", "204"}, {"HOST_VAR", "tcp://h:1"}};
  const auto environment = project.load().environment("production");
  CHECK(environment.front_door.url == "http://localhost:8443/");
  CHECK(environment.front_door.status == 204);
  CHECK(environment.host == "tcp://h:1");
  CHECK(project.load().values("production").text("front_door.url") == "http://localhost:${PORT:-80}/");

  project.sources.variables["STATUS"] = "fine";
  const auto failure = failure_of([&] { (void)project.load().environment("production"); });
  CHECK(failure.message() == "codops.yaml:1:60: front_door.status takes a whole number, not \"fine\"");
}

TEST_CASE("values that belong together are checked for each environment") {
  Fixture project;
  project.file("codops.yaml", R"(
proxy: {service: nginx}
keep_releases: 0
backup: {store: backups, formats: [tar]}
notify: [{type: slack}, {url_variable: X}]
health: {checks: {a: {url: "http://x", tcp: "x:1"}, b: {timeout: 1s}}}
)");
  const auto problems = project.load().problems_of("production");
  std::vector<std::string> lines;
  for (const auto& problem : problems) lines.push_back(problem.message);
  CHECK(lines == std::vector<std::string>{
                     "proxy.service is set, proxy.upstreams is not",
                     "keep_releases is between 1 and 1000, not 0",
                     "backup.store is an absolute directory or s3://bucket/prefix, not \"backups\"",
                     "backup.formats has \"tar\"",
                     "notify[0] has no url_variable",
                     "notify[1] has no type",
                     "health.checks.a has both url and tcp",
                     "health.checks.b says nothing to check",
                 });
  for (const auto& problem : problems) CHECK(problem.at.line > 0);
}

TEST_CASE("the project is found from below, not beyond its repository") {
  Fixture project;
  project.file("codops.yaml", "").file("backend/src/x", "").file("backend/.git/HEAD", "");
  CHECK(find_project(project.path() / "backend" / "src") == project.path() / "backend" / "src");
  std::filesystem::remove_all(project.path() / "backend" / ".git");
  CHECK(find_project(project.path() / "backend" / "src") == project.path());
}

TEST_CASE("in a monorepo the project is where its workspace is, or where setup-dev was run") {
  Fixture project;
  project.file(".git/HEAD", "").file("package.json", R"({"workspaces": ["apps/*"]})").file("package-lock.json", "{}").file("apps/api/package.json", "{}").file("apps/api/src/x", "");
  project.file("tools/own/package.json", "{}").file("tools/own/package-lock.json", "{}");
  CHECK(find_project(project.path() / "apps/api/src") == project.path());
  CHECK(find_project(project.path() / "apps") == project.path());
  CHECK(find_project(project.path() / "tools/own") == project.path() / "tools/own");
  project.file("apps/api/.codops/dev/.gitignore", "*");
  CHECK(find_project(project.path() / "apps/api/src") == project.path() / "apps/api");
  Fixture plain;
  plain.file(".git/HEAD", "").file("backend/x", "");
  CHECK(find_project(plain.path() / "backend") == plain.path() / "backend");
  plain.file(".codops/dev/.gitignore", "*");
  CHECK(find_project(plain.path() / "backend") == plain.path());
}

TEST_CASE("a project's name follows compose's rule, name: wins") {
  Fixture project;
  project.file("My Shop_1/compose.yaml", "");
  Sources sources;
  sources.directory = project.path() / "My Shop_1";
  CHECK(Settings::load(sources).project().name == "myshop_1");
  project.file("My Shop_1/codops.yaml", "name: shop\n");
  CHECK(Settings::load(sources).project().name == "shop");
}
