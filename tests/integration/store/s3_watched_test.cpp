// The program itself against a scripted store: what the dead-man's switch is told, and what stays in the store.
#include <signal.h>

#include "lib/io/process.hpp"
#include "tests/support/backup_fixture.hpp"
#include "tests/support/faulty_s3.hpp"
#include "tests/support/source_dir.hpp"

using namespace codops;
using namespace codops::tests;
using Fault = FaultyS3::Fault;

namespace {

// A dead-man's switch.
class Switch {
 public:
  std::string url() const { return server_.url("/uuid"); }
  std::vector<std::string> told() {
    const std::lock_guard lock{mutex_};
    return std::exchange(told_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> told_;
  ScriptedServer server_{[this](Peer& peer) {
    const auto request = peer.read_request();
    const auto begin = request.find(' ') + 1;
    {
      const std::lock_guard lock{mutex_};
      told_.push_back(request.substr(begin, request.find(' ', begin) - begin));
    }
    peer.send(response("OK"));
  }};
};

}  // namespace

TEST_CASE("backup to S3: a part that is refused, and a kill in the middle of an upload: the switch is told the truth, and no upload stays for good") {
  auto* postgres = PostgresServer::shared();
  if (postgres == nullptr) return;
  Shop shop{*postgres, "CREATE TABLE t AS SELECT generate_series(1, 10) a"};
  FaultyS3 server;
  Switch dead_man;
  const io::TemporaryFolder project;
  // More than two parts of an upload, which no compression makes less.
  io::make_folders(project.path() / "uploads");
  io::write_file(project.path() / "uploads" / "large", io::random_bytes(20U << 20U));
  io::write_file(project.path() / ".env.test", "DATABASE_URL=" + postgres->url(shop.name) + "\n");
  io::write_file(project.path() / "codops.yaml", "name: shop\nbackup:\n  store: s3://backups\n  s3: {endpoint: \"" + server.settings(1).endpoint + "\", path_style: true}\n  volumes: [" +
                                                     (project.path() / "uploads").string() + "]\n  ping_url_variable: DEADMAN\n");
  const auto start = [&] {
    io::Program program{{codops_program(), "backup", "test"}, {{"AWS_ACCESS_KEY_ID", "key"}, {"AWS_SECRET_ACCESS_KEY", "secret"}, {"DEADMAN", dead_man.url()}}, {}, project.path()};
    return io::Child{program, {}};
  };
  const auto run = [&] {
    auto child = start();
    const auto status = child.wait(a_minute());
    REQUIRE(status);
    return status->code;
  };
  const auto listed = [&] {
    SystemClock clock;
    store::S3Store store{server.settings(1), clock};
    return backup::Catalogue{store, "shop/test"}.list(a_minute()).size();
  };
  const auto is_part = [](const FaultyS3::Call& call, const char* number) { return call.method == "PUT" && call.query.find(std::string{"partNumber="} + number) != std::string::npos; };
  using Told = std::vector<std::string>;
  CHECK(run() == 0);
  CHECK(dead_man.told() == Told{"/uuid/start", "/uuid"});

  server.fault([&](const auto& call) { return is_part(call, "2") ? Fault::bad_request : Fault::none; });
  CHECK(run() == 1);
  CHECK(dead_man.told() == Told{"/uuid/start", "/uuid/fail"});
  CHECK(server.open_uploads() == 0);
  CHECK(listed() == 1);

  // Nobody is left who could tell of it: the switch goes off by itself.
  std::atomic<pid_t> victim{0};
  std::atomic<bool> killed{false};
  server.fault([&](const auto& call) {
    if (!is_part(call, "2") || killed) return Fault::none;
    while (victim == 0) std::this_thread::yield();
    ::kill(victim, SIGKILL);
    killed = true;
    return Fault::reset;
  });
  {
    auto child = start();
    victim = child.pid();
    const auto status = child.wait(a_minute());
    REQUIRE(status);
    CHECK(status->signal == SIGKILL);
  }
  REQUIRE(killed);
  server.fault({});
  CHECK(dead_man.told() == Told{"/uuid/start"});
  CHECK(server.open_uploads() == 1);
  CHECK(listed() == 1);

  CHECK(run() == 0);
  CHECK(dead_man.told() == Told{"/uuid/start", "/uuid"});
  CHECK(server.open_uploads() == 0);
  CHECK(listed() == 2);
  // And of what the killed one had stored already nothing is left either.
  std::set<std::string> folders;
  for (const auto& name : server.names()) folders.insert(name.substr(0, name.rfind('/')));
  CHECK(std::count_if(folders.begin(), folders.end(), [](const auto& folder) { return folder.find("shop/test/") != std::string::npos; }) == 2);
}
