// The conformance suite on real servers: versitygw and moto. tests/support/s3_servers.sh puts them where this looks.
#include "lib/store/s3.hpp"

#include <filesystem>

#include "lib/base/retry.hpp"
#include "lib/io/files.hpp"
#include "lib/io/process.hpp"
#include "lib/store/s3_client.hpp"
#include "tests/support/scripted_server.hpp"
#include "tests/support/store_conformance.hpp"

using namespace codops;

namespace {

struct S3Server {
  io::TemporaryFolder folder;
  store::S3Settings settings;
  std::unique_ptr<io::Child> child;

  static std::unique_ptr<S3Server> start(const std::string& name, const SystemClock& clock) {
    const char* cache = std::getenv("CODOPS_TEST_CACHE");
    const char* home = std::getenv("HOME");
    const auto base = cache != nullptr ? std::string{cache} : std::string{home != nullptr ? home : "/root"} + "/.cache/codops-tests";
    const auto program = std::filesystem::path{base} / "s3" / (name == "moto_server" ? "moto/bin/moto_server" : "bin/" + name);
    if (!std::filesystem::exists(program)) {
      MESSAGE("skipped: no ", name, " (tests/support/s3_servers.sh gets it)");
      if (std::getenv("CODOPS_REQUIRE_SERVICES") != nullptr) FAIL_CHECK(name, " is required");
      return nullptr;
    }
    auto server = std::make_unique<S3Server>();
    std::string port;
    {
      const tests::ScriptedServer free_port{[](tests::Peer&) {}};
      port = std::to_string(free_port.port());
    }
    io::Program start;
    start.argv = {program.string(), "-H", "127.0.0.1", "-p", port};
    if (name == "versitygw") {
      std::filesystem::create_directory(server->folder.path() / "data");
      start.argv = {program.string(), "--access", "key", "--secret", "secret", "--port", "127.0.0.1:" + port, "posix", (server->folder.path() / "data").string()};
    }
    start.env = io::usual_environment();
    server->child = std::make_unique<io::Child>(start, io::Child::Stdio{});
    auto& settings = server->settings;
    settings.address = {"backups", "some/prefix"};
    settings.endpoint = "http://127.0.0.1:" + port;
    settings.path_style = true;
    settings.credentials = {"key", Secret{"secret"}, {}};
    settings.part_size = 5U << 20U;
    settings.attempts = 3;
    // The server needs a moment, and the bucket has to be made.
    store::S3Client client{settings, clock};
    const auto limits = Limits{}.within(Milliseconds{60'000});
    Backoff backoff{Milliseconds{100}, Milliseconds{500}};
    for (;;) {
      try {
        if (client.send({"PUT", {}, {}, {}, {}}, limits).ok()) break;
      } catch (const Failure&) {
      }
      REQUIRE(backoff.wait(limits));
    }
    return server;
  }
};

void conforms(const std::string& name) {
  const SystemClock clock;
  const auto server = S3Server::start(name, clock);
  if (!server) return;
  {
    store::S3Store store{server->settings, clock};
    tests::check_store(store);
  }
  {
    // What a killed run left of a multipart upload.
    store::S3Client client{server->settings, clock};
    client.send({"POST", client.full_key("left/behind"), {{"uploads", ""}}, {}, {}}, Limits{});
    store::S3Store store{server->settings, clock};
    store.sweep("left", Limits{});
    const auto open = client.send({"GET", {}, {{"uploads", ""}, {"prefix", client.full_key("left") + "/"}}, {}, {}}, Limits{});
    CHECK(store::xml_texts(open.body, "Upload").empty());
  }
}

}  // namespace

TEST_CASE("S3: a bucket of versitygw is a store") { conforms("versitygw"); }
TEST_CASE("S3: a bucket of moto is a store") { conforms("moto_server"); }

TEST_CASE("S3: versitygw refuses a wrong key, and that is said") {
  const SystemClock clock;
  const auto server = S3Server::start("versitygw", clock);
  if (!server) return;
  auto settings = server->settings;
  settings.credentials.secret_key = Secret{"wrong"};
  store::S3Store store{settings, clock};
  try {
    store.put("a/b", "x", Limits{});
    FAIL("it was taken");
  } catch (const Failure& failure) {
    CHECK(failure.code() == Exit::config);
    CHECK(failure.message().find("403") != std::string::npos);
  }
}
