// What is read from and written to a checkout, in a folder of the test's own.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <thread>

#include "lib/base/failure.hpp"
#include "lib/io/files.hpp"
#include "lib/io/process.hpp"
#include "lib/io/process_detached.hpp"
#include "lib/scaffold/dev/env_write.hpp"
#include "lib/scaffold/dev/ledger.hpp"
#include "lib/scaffold/dev/linked_packages.hpp"
#include "lib/scaffold/dev/local_postgres.hpp"
#include "lib/scaffold/dev/local_redis.hpp"
#include "lib/scaffold/dev/local_server.hpp"
#include "lib/scaffold/dev/packages.hpp"
#include "lib/scaffold/dev/ports.hpp"
#include "lib/scaffold/dev/tools.hpp"

using namespace codops;
using namespace codops::scaffold::dev;
namespace fs = std::filesystem;

namespace {

struct Checkout {
  io::TemporaryFolder folder;
  fs::path root = fs::canonical(folder.path());

  void put(const std::string& path, std::string_view text) const {
    fs::create_directories((root / path).parent_path());
    io::write_file(root / path, text, 0644);
  }
  std::string get(const std::string& path) const { return io::read_file(root / path); }
};

EnvFile planned(const Checkout& checkout, const std::string& path, const std::string& example) {
  return plan_env({{path, path + ".example", example, io::read_file_if_there(checkout.root / path)}}, [] { return std::string{"secret"}; }).front();
}

unsigned mode_of(const fs::path& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? status.st_mode & 07777U : 0U;
}

}  // namespace

TEST_CASE("a new .env is private; an existing one keeps its mode") {
  const Checkout checkout;
  write_env(checkout.root, planned(checkout, ".env", "A=1\n"), checkout.root / "copies");
  CHECK(checkout.get(".env") == "A=1\n");
  CHECK(mode_of(checkout.root / ".env") == 0600);
  checkout.put("b/.env", "A=0\n");
  ::chmod((checkout.root / "b/.env").c_str(), 0640);
  write_env(checkout.root, planned(checkout, "b/.env", "A=1\nB=2\n"), checkout.root / "copies");
  CHECK(checkout.get("b/.env").starts_with("A=0\n"));
  CHECK(mode_of(checkout.root / "b/.env") == 0640);
  CHECK_FALSE(fs::exists(checkout.root / "copies"));
}

TEST_CASE("what somebody wrote between plan and write is kept") {
  const Checkout checkout;
  checkout.put(".env", "A=0\n");
  const auto file = planned(checkout, ".env", "A=1\nB=2\n");
  checkout.put(".env", "A=0\nMINE=1\n");
  CHECK_THROWS_AS(write_env(checkout.root, file, checkout.root / "copies"), Failure);
  CHECK(checkout.get(".env") == "A=0\nMINE=1\n");
  const auto fresh = planned(checkout, "new/.env", "A=1\n");
  checkout.put("new/.env", "MINE=1\n");
  CHECK_THROWS_AS(write_env(checkout.root, fresh, checkout.root / "copies"), Failure);
  CHECK(checkout.get("new/.env") == "MINE=1\n");
}

TEST_CASE("a link inside the project is followed and stays; one that leaves it is refused") {
  const Checkout checkout;
  checkout.put("shared/dev.env", "A=0\n");
  fs::create_symlink("shared/dev.env", checkout.root / ".env");
  write_env(checkout.root, planned(checkout, ".env", "A=1\nB=2\n"), checkout.root / "copies");
  CHECK(fs::is_symlink(checkout.root / ".env"));
  CHECK(checkout.get("shared/dev.env").find("B=2\n") != std::string::npos);

  const Checkout outside;
  outside.put("profile", "A=0\n");
  fs::create_directories(checkout.root / "c");
  fs::create_symlink(outside.root / "profile", checkout.root / "c/.env");
  const auto file = planned(checkout, "c/.env", "A=1\nB=2\n");
  CHECK(why_not_writable(checkout.root, file).value().why.find("outside of the project") != std::string::npos);
  CHECK_THROWS_AS(write_env(checkout.root, file, checkout.root / "copies"), Failure);
  CHECK(outside.get("profile") == "A=0\n");

  fs::create_symlink(outside.root / "nothing", checkout.root / "shared/.env");
  CHECK_THROWS_AS(write_env(checkout.root, planned(checkout, "shared/.env", "A=1\n"), checkout.root / "copies"), Failure);
  CHECK_FALSE(fs::exists(outside.root / "nothing"));

  fs::create_symlink(outside.root, checkout.root / "away");
  CHECK_THROWS_AS(write_env(checkout.root, planned(checkout, "away/.env", "A=1\n"), checkout.root / "copies"), Failure);
  CHECK_FALSE(fs::exists(outside.root / ".env"));
}

TEST_CASE("a read-only .env is left alone, for root too") {
  const Checkout checkout;
  checkout.put(".env", "A=0\n");
  ::chmod((checkout.root / ".env").c_str(), 0444);
  const auto file = planned(checkout, ".env", "A=1\nB=2\n");
  CHECK(why_not_writable(checkout.root, file).value().why == "\".env\" is read-only");
  CHECK_THROWS_AS(write_env(checkout.root, file, checkout.root / "copies"), Failure);
  CHECK(checkout.get(".env") == "A=0\n");
}

TEST_CASE("a value that is changed leaves a copy of the file as it was") {
  const Checkout checkout;
  checkout.put(".env", "DATABASE_URL=postgres://u:p@localhost:5432/d\n");
  std::vector<EnvFile> files{planned(checkout, ".env", "")};
  apply_move(files, {Store::postgres, {}, 5432, {}, 5433, {}});
  write_env(checkout.root, files.front(), checkout.root / "copies");
  CHECK(checkout.get(".env") == "DATABASE_URL=postgres://u:p@localhost:5433/d\n");
  int copies = 0;
  for (const auto& entry : fs::directory_iterator{checkout.root / "copies/replaced"}) {
    ++copies;
    CHECK(io::read_file(entry.path()) == "DATABASE_URL=postgres://u:p@localhost:5432/d\n");
    CHECK(mode_of(entry.path()) == 0600);
  }
  CHECK(copies == 1);
}

TEST_CASE("a file with another name keeps it when a value is changed") {
  const Checkout checkout;
  checkout.put(".env", "REDIS_URL=redis://localhost:6379\nMINE=1\n");
  fs::create_hard_link(checkout.root / ".env", checkout.root / "other");
  std::vector<EnvFile> files{planned(checkout, ".env", "")};
  apply_move(files, {Store::redis, {}, 6379, {}, 10000, {}});
  write_env(checkout.root, files.front(), checkout.root / "copies");
  CHECK(checkout.get("other") == "REDIS_URL=redis://localhost:10000\nMINE=1\n");
  CHECK(fs::hard_link_count(checkout.root / ".env") == 2);
  CHECK_FALSE(fs::is_empty(checkout.root / "copies/replaced"));
  // A shorter text leaves nothing of the longer one.
  files = {planned(checkout, ".env", "")};
  apply_move(files, {Store::redis, {}, 10000, {}, 6379, {}});
  write_env(checkout.root, files.front(), checkout.root / "copies");
  CHECK(checkout.get("other") == "REDIS_URL=redis://localhost:6379\nMINE=1\n");
  files = {planned(checkout, ".env", "")};
  apply_move(files, {Store::redis, {}, 6379, {}, 6380, {}});
  checkout.put("other", "MINE=2\n");
  io::write_file(checkout.root / ".env", "MINE=2\n");
  CHECK_THROWS_AS(write_env(checkout.root, files.front(), checkout.root / "copies"), Failure);
  CHECK(checkout.get(".env") == "MINE=2\n");
}

TEST_CASE("the ledger: what is put is on disk, what is dropped is not, a torn one is empty") {
  const Checkout checkout;
  make_dev_folder(checkout.root);
  const auto folder = dev_folder(checkout.root);
  {
    Ledger ledger{folder};
    ledger.put("install:a", {"hash", "mark"});
    ledger.put("install:b", {"hash", "mark"});
    ledger.drop("install:b");
    ledger.remember("tool:node", {"path", "20"});
  }
  const Ledger again{folder};
  CHECK(again.is("install:a", "hash"));
  CHECK_FALSE(again.find("install:b"));
  CHECK_FALSE(again.find("tool:node"));
  io::write_file(folder / "ledger.json", "{\"format\":1,\"done\":{\"install:a\":");
  CHECK_FALSE(Ledger{folder}.find("install:a"));
  for (const auto* odd : {R"({"format":"1"})", R"({"format":1,"done":[1]})", R"({"format":1,"done":{"install:a":{"inputs":5,"note":{}}}})", "[1]", "", "\xff"}) {
    io::write_file(folder / "ledger.json", odd);
    CAPTURE(odd);
    CHECK_FALSE(Ledger{folder}.is("install:a", "hash"));
  }
  CHECK(io::read_file(folder / ".gitignore") == "*\n");
}

TEST_CASE("no folder behind a link") {
  const Checkout checkout, elsewhere;
  fs::create_symlink(elsewhere.root, checkout.root / ".codops");
  CHECK_THROWS_AS(make_dev_folder(checkout.root), Failure);
  CHECK(fs::is_empty(elsewhere.root));
}

TEST_CASE("packages: who installs them, and how") {
  const Checkout checkout;
  checkout.put("backend/package.json", R"({"engines":{"node":">=20"},"dependencies":{"a":"1"},"scripts":{"dev":"x"}})");
  checkout.put("backend/package-lock.json", "{}");
  checkout.put("web/package.json", R"({"packageManager":"pnpm@9.1.0+sha512.ab","devDependencies":{"b":"1"}})");
  checkout.put("web/pnpm-lock.yaml", "lockfileVersion: '9.0'\n");
  checkout.put("old/package.json", R"({"dependencies":{"c":"1"}})");
  checkout.put("old/yarn.lock", "# yarn lockfile v1\n");
  checkout.put("new/package.json", R"({"dependencies":{"c":"1"}})");
  checkout.put("new/yarn.lock", "__metadata:\n  version: 8\n");
  checkout.put("bare/package.json", R"({"name":"bare"})");
  checkout.put("node_modules/x/package.json", "{}");
  checkout.put(".nvmrc", "v20.1\n");
  const auto packages = find_packages(checkout.root, {});
  REQUIRE(packages.size() == 5);
  CHECK(packages[0].name == "backend");
  CHECK(install_command(packages[0])[1] == "ci");
  CHECK_FALSE(packages[1].installs);
  CHECK(install_command(packages[2]) == std::vector<std::string>{"yarn", "install", "--immutable"});
  CHECK(install_command(packages[3])[2] == "--frozen-lockfile");
  CHECK(packages[4].manager == "pnpm");
  CHECK(packages[4].manager_range == "9.1.0");

  const auto wishes = tool_wishes(packages, node_pin(checkout.root));
  CHECK(wishes[0].name == "node");
  REQUIRE(wishes[0].demands.size() == 2);
  std::string hint;
  CHECK(judge(wishes[0], {"node", "/usr/bin/node", "18.19.0"}, hint) == "node is 18.19.0, and .nvmrc wants 20.1");
  CHECK(hint.find("20") != std::string::npos);
  CHECK(judge(wishes[0], {"node", {}, {}}, hint) == "node is not installed");
  CHECK(judge({"node", {{">=18", "package.json"}}}, {"node", "/usr/bin/node", "18.19.0"}, hint).empty());
  CHECK(hint.empty());

  const auto before = install_inputs(checkout.root, packages[0], 20);
  CHECK(before == install_inputs(checkout.root, packages[0], 20));
  CHECK(before != install_inputs(checkout.root, packages[0], 22));
  checkout.put("backend/package-lock.json", "{ }");
  CHECK(before != install_inputs(checkout.root, packages[0], 20));
}

TEST_CASE("packages in services and apps, where no workspace says which; one that needs nothing") {
  const Checkout checkout;
  checkout.put("services/api/package.json", R"({"dependencies":{"a":"1"}})");
  checkout.put("apps/tool/package.json", R"({"scripts":{"x":"y"}})");
  checkout.put("apps/tool/package-lock.json", "{}");
  checkout.put("packages/lib/package.json", R"({"peerDependencies":{"a":"1"}})");
  checkout.put("other/deep/package.json", R"({"dependencies":{"a":"1"}})");
  const auto packages = find_packages(checkout.root, {});
  REQUIRE(packages.size() == 3);
  CHECK(packages[0].name == "apps/tool");
  CHECK(packages[0].needs_nothing);
  CHECK(packages[1].name == "packages/lib");
  CHECK(packages[1].installs);
  CHECK_FALSE(packages[1].needs_nothing);
  CHECK(packages[2].name == "services/api");
  checkout.put("package.json", R"({"workspaces":["services/*"]})");
  CHECK(find_packages(checkout.root, {}).size() == 2);
}

TEST_CASE("workspaces are installed once, at their root") {
  const Checkout checkout;
  checkout.put("package.json", R"({"workspaces":["a"]})");
  checkout.put("package-lock.json", "{}");
  checkout.put("a/package.json", R"({"dependencies":{"x":"1"}})");
  const auto packages = find_packages(checkout.root, {});
  REQUIRE(packages.size() == 2);
  CHECK(packages[0].installs);
  CHECK_FALSE(packages[1].installs);
}

TEST_CASE("node_modules against the lockfile, by npm's own record") {
  const Checkout checkout;
  checkout.put("package.json", R"({"dependencies":{"x":"1"}})");
  checkout.put("package-lock.json", R"({"packages":{"":{},"node_modules/x":{"version":"1.0.0","integrity":"i"},"node_modules/win":{"version":"2","optional":true}}})");
  const auto package = find_packages(checkout.root, {}).front();
  CHECK(install_mark(checkout.root, package).empty());
  CHECK(is_installed(checkout.root, package) == false);
  const auto record = [&](const char* version, const char* more = "") {
    checkout.put("node_modules/.package-lock.json", fmt::format(R"({{"packages":{{"node_modules/x":{{"version":"{}","integrity":"i"}}{}}}}})", version, more));
  };
  record("1.0.0");
  CHECK(is_installed(checkout.root, package) == false);  // recorded, and its folder is gone
  const auto without = install_mark(checkout.root, package);
  checkout.put("node_modules/x/package.json", "{}");
  CHECK(install_mark(checkout.root, package) != without);
  CHECK(is_installed(checkout.root, package) == true);
  record("1.0.1");
  CHECK(is_installed(checkout.root, package) == false);
  record("1.0.0", R"(,"node_modules/extra":{"version":"1"})");
  CHECK(is_installed(checkout.root, package) == false);
  record("1.0.0", R"(,"node_modules/extra":{"resolved":"../extra","link":true},"../extra":{})");
  CHECK(is_installed(checkout.root, package) == true);  // `npm link` is no reason to install
  checkout.put("node_modules/.package-lock.json", R"({"packages":{"node_modules/x":{"resolved":"../x","link":true}}})");
  CHECK(is_installed(checkout.root, package) == true);
}

TEST_CASE("an install is whole while nothing of it is gone, what others need included") {
  const Checkout checkout;
  checkout.put("package.json", R"({"dependencies":{"x":"1"}})");
  checkout.put("yarn.lock", "");
  for (const auto* file : {".yarn-integrity", "x/package.json", "deep/package.json", "@s/deep/package.json", ".cache/a"}) checkout.put(fmt::format("node_modules/{}", file), "{}");
  const auto package = find_packages(checkout.root, {}).front();
  const auto then = install_mark(checkout.root, package);
  CHECK(is_whole(then, install_mark(checkout.root, package)));
  fs::create_symlink(checkout.root, checkout.root / "node_modules/linked");
  fs::remove_all(checkout.root / "node_modules/.cache");
  CHECK(is_whole(then, install_mark(checkout.root, package)));
  fs::remove(checkout.root / "node_modules/linked");
  fs::remove_all(checkout.root / "node_modules/@s/deep");
  CHECK_FALSE(is_whole(then, install_mark(checkout.root, package)));
  CHECK_FALSE(is_whole("begun", then));
  CHECK_FALSE(is_whole("", then));
}

TEST_CASE("the version that packageManager names") {
  const ToolWish wish{"pnpm", {{"9.1.0", "package.json"}}};
  std::string hint;
  CHECK(judge(wish, {"pnpm", "/usr/bin/pnpm", "8.15.9"}, hint) == "pnpm is 8.15.9, and package.json names 9.1.0");
  CHECK(hint.find("npm install --global pnpm@9.1.0") != std::string::npos);
  CHECK(judge(wish, {"pnpm", "/usr/bin/pnpm", "8.15.9", true}, hint).empty());  // corepack runs the one that is named
  CHECK(judge(wish, {"pnpm", "/usr/bin/pnpm", "9.15.9"}, hint).empty());
  CHECK(differs_from_named(wish, {"pnpm", "/usr/bin/pnpm", "9.15.9"}, hint) == "pnpm is 9.15.9, and package.json names 9.1.0");
  CHECK(differs_from_named(wish, {"pnpm", "/usr/bin/pnpm", "9.1.0"}, hint).empty());
  CHECK(differs_from_named(wish, {"pnpm", "/usr/bin/pnpm", "9.15.9", true}, hint).empty());
  // yarn 1 hands over to the program that the checkout brings along.
  const Checkout checkout;
  checkout.put("package.json", R"({"packageManager":"yarn@4.1.0","dependencies":{"x":"1"}})");
  checkout.put("yarn.lock", "__metadata:\n");
  checkout.put(".yarnrc.yml", "yarnPath: .yarn/releases/yarn-4.1.0.cjs\n");
  const auto wishes = tool_wishes(find_packages(checkout.root, {}), {});
  REQUIRE(wishes.size() == 2);
  CHECK(judge(wishes[1], {"yarn", "/usr/bin/yarn", "1.22.22"}, hint).empty());
}

TEST_CASE("a path that initdb would cut is told before anything is made") {
  const Checkout checkout;
  ::chmod(checkout.folder.path().c_str(), 0755);
  auto project = checkout.root;
  while (project.string().size() < 950) project /= std::string(90, 'd');
  fs::create_directories(project);
  std::string hint;
  const auto trouble = LocalPostgres{project}.trouble(hint);
  if (servers_folder(project) == dev_folder(project)) {
    CHECK(trouble.find("too long for PostgreSQL") != std::string::npos);
    CHECK(hint.find("shorter path") != std::string::npos);
  } else {
    // As root, in a folder that others can't enter, the data is elsewhere.
    CHECK(trouble.find("too long") == std::string::npos);
  }
}

TEST_CASE("yarn from 2 on is not to be had as npm's package of that name") {
  std::string hint;
  CHECK_FALSE(judge({"yarn", {{"4.1.0", "package.json"}}}, {"yarn", {}, {}}, hint).empty());
  CHECK(hint.find("corepack enable yarn") != std::string::npos);
  CHECK(hint.find("yarn@") == std::string::npos);
  CHECK_FALSE(judge({"yarn", {{"1.22.19", "package.json"}}}, {"yarn", {}, {}}, hint).empty());
  CHECK(hint.find("npm install --global yarn@1.22.19") != std::string::npos);
}

TEST_CASE("linked packages come back after an install") {
  const Checkout checkout, money, tools;
  checkout.put("package.json", R"({"dependencies":{"x":"1"}})");
  const auto package = find_packages(checkout.root, {}).front();
  const auto folder = checkout.root / ".codops";
  const auto modules = checkout.root / "node_modules";
  fs::create_directories(folder);
  fs::create_directories(modules / "@shop");
  fs::create_directories(checkout.root / "inside");
  const auto money_link = fs::path{".."} / ".." / ".." / money.root.filename();
  fs::create_directory_symlink(money_link, modules / "@shop/money");
  fs::create_directory_symlink(tools.root, modules / "tools");
  fs::create_directory_symlink("../inside", modules / "workspace");
  fs::create_directory_symlink("/nowhere/at/all", modules / "broken");
  const auto found = linked_packages(checkout.root, package);
  REQUIRE(found.size() == 2);
  CHECK(found[0].name == "@shop/money");
  CHECK(found[0].link == money_link.string());
  note_links(folder, checkout.root, package);

  // Cut off after the folder went, and begun again: what was noted stays noted.
  fs::remove_all(modules);
  note_links(folder, checkout.root, package);
  checkout.put("node_modules/tools/package.json", "{}");
  const auto restored = restore_links(folder, checkout.root, package);
  CHECK(restored.size() == 2);
  CHECK(fs::read_symlink(modules / "@shop/money") == money_link);
  CHECK(fs::read_symlink(modules / "tools") == tools.root);
  CHECK(restore_links(folder, checkout.root, package).empty());

  // Sources that are gone, and a link that the package manager itself made in that place.
  note_links(folder, checkout.root, package);
  fs::remove(modules / "tools");
  fs::create_directory_symlink(money.root, modules / "tools");
  fs::remove(modules / "@shop/money");
  fs::remove_all(money.root / "gone");
  restore_links(folder, checkout.root, package);
  CHECK(fs::read_symlink(modules / "tools") == money.root);
  CHECK(fs::read_symlink(modules / "@shop/money") == money_link);

  CHECK(checked_out_packages(checkout.root, package).empty());
  checkout.put("node_modules/@shop/mine/.git/HEAD", "x");
  CHECK(checked_out_packages(checkout.root, package) == std::vector<std::string>{"@shop/mine"});
}

TEST_CASE("Redis' configuration can't be broken out of by a password") {
  const auto text = redis_configuration({7000, {}, Secret{"a\"\nport 1\n"}, 3});
  CHECK(text.find("requirepass \"\\x61\\x22\\x0a\\x70") != std::string::npos);
  CHECK(text.find("port 1\n") == std::string::npos);
  CHECK(redis_configuration({7000, "app", Secret{"p"}, 0}).find("user app on \"\\x3e\\x70\" ~* &* +@all\nuser default off\n") != std::string::npos);
  CHECK(redis_configuration({7000, {}, {}, 20}).find("databases 21\n") != std::string::npos);
}

TEST_CASE("a process is found by what it is, not by its number") {
  const Checkout checkout;
  const io::Child sleeper{{{"sleep", "60"}, {}, {}, checkout.root}, {}};
  const auto find = [&](const fs::path& folder, const std::string& name) { return ServerProcess::find(checkout.root / "pid", folder, name); };
  CHECK_FALSE(find(checkout.root, "sleep"));  // no pid file
  checkout.put("pid", fmt::format("{}\nmore\n", sleeper.pid()));
  const auto found = find(checkout.root, "sleep");
  REQUIRE(found);
  CHECK(found->pid() == sleeper.pid());
  // The same number, as if it had been used again by another program, or elsewhere.
  CHECK_FALSE(find(checkout.root, "postgres"));
  CHECK_FALSE(find("/", "sleep"));
  for (const auto* text : {"1\n", "0\n", "-1\n", "x\n", "", "999999999\n"}) {
    checkout.put("pid", text);
    CHECK_FALSE(find(checkout.root, "sleep"));
  }
  CHECK(found->signal(SIGKILL));
  CHECK(found->wait_ended(Limits{}.within(Milliseconds{10'000})));
  checkout.put("pid", fmt::format("{}\n", sleeper.pid()));
  CHECK_FALSE(find(checkout.root, "sleep"));
}

TEST_CASE("a detached program outlives the thread that started it, in a session of its own") {
  const Checkout checkout;
  const auto log = open_log(checkout.root / "log");
  const auto pid = io::start_detached({{"sh", "-c", "echo $$ >pid; echo said; exec sleep 60"}, io::usual_environment(), {}, checkout.root}, -1, log.get());
  CHECK(pid > 1);
  CHECK(::getsid(pid) != ::getsid(0));
  std::optional<ServerProcess> found;
  const auto deadline = Deadline::after(Milliseconds{10'000});
  while (!found && !deadline.expired()) found = ServerProcess::find(checkout.root / "pid", checkout.root, "sleep");
  REQUIRE(found);
  CHECK(found->pid() == pid);
  CHECK(last_lines(checkout.root / "log", 5) == std::vector<std::string>{"said"});
  found->signal(SIGKILL);
  CHECK(found->wait_ended(Limits{}.within(Milliseconds{10'000})));
  CHECK_THROWS_AS(io::start_detached({{"/nonexistent/program"}, {}, {}, {}}, -1, -1), Failure);
}

TEST_CASE("a port's holder is named") {
  const auto port = free_port(20'000, {});
  REQUIRE(port != 0);
  CHECK(is_free("127.0.0.1", port));
  CHECK_FALSE(holder_of(port));
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(port);
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::bind(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
  REQUIRE(::listen(fd, 1) == 0);
  CHECK_FALSE(is_free("127.0.0.1", port));
  CHECK_FALSE(is_free("", port));
  const auto holder = holder_of(port);
  REQUIRE(holder);
  CHECK(holder->pid == ::getpid());
  CHECK(listens(::getpid(), port));
  CHECK_FALSE(listens(::getppid(), port));
  CHECK(listens(::getpid(), port, "127.0.0.1"));
  CHECK_FALSE(listens(::getpid(), port, "::1"));
  CHECK(free_port(port, {}) != port);
  ::close(fd);
}

TEST_CASE("who a server runs as is asked by several steps at once") {
  if (::geteuid() != 0) return;  // nobody else can choose
  const auto ask = [](const char* user, uid_t wanted, int& wrong) {
    for (int i = 0; i < 20'000; ++i) wrong += run_as(user).uid == wanted && user_name(wanted) == user ? 0 : 1;
  };
  int first = 0, second = 0;
  std::thread one{ask, "daemon", run_as("daemon").uid, std::ref(first)};
  ask("nobody", run_as("nobody").uid, second);
  one.join();
  CHECK(first == 0);
  CHECK(second == 0);
}
