// The conformance suite on a real server: moto_server or versitygw, named by CODOPS_S3_SERVER (a path). By hand until multipart
// completion is settled on both.
#include "lib/store/s3.hpp"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

#include "lib/base/retry.hpp"
#include "lib/io/files.hpp"
#include "lib/io/process.hpp"
#include "lib/store/s3_client.hpp"
#include "tests/support/store_conformance.hpp"

using namespace codops;

namespace {

int free_port() {
  const io::Fd fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size);
  ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

struct S3Server {
  io::TemporaryFolder folder;
  std::string endpoint;
  std::unique_ptr<io::Child> child;

  static std::unique_ptr<S3Server> start() {
    auto server = std::make_unique<S3Server>();
    const auto port = std::to_string(free_port());
    server->endpoint = "http://127.0.0.1:" + port;
    const char* named = std::getenv("CODOPS_S3_SERVER");
    const auto found = named != nullptr ? io::find_program(named) : std::nullopt;
    if (!found) {
      MESSAGE("left out: CODOPS_S3_SERVER names no S3 server");
      return nullptr;
    }
    io::Program program;
    program.argv = {found->string(), "-H", "127.0.0.1", "-p", port};
    if (found->filename() == "versitygw") {
      program.argv = {found->string(), "--access", "key", "--secret", "secret", "--port", "127.0.0.1:" + port, "posix", server->folder.path().string()};
    }
    program.env = io::usual_environment();
    server->child = std::make_unique<io::Child>(program, io::Child::Stdio{});
    return server;
  }
};

}  // namespace

TEST_CASE("S3: a bucket is a store") {
  const auto server = S3Server::start();
  if (!server) return;
  SystemClock clock;
  store::S3Settings settings;
  settings.address = {"backups", "some/prefix"};
  settings.endpoint = server->endpoint;
  settings.path_style = true;
  settings.credentials = {"key", Secret{"secret"}, {}};
  settings.part_size = 5U << 20U;
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
  store::S3Store store{settings, clock};
  tests::check_store(store);
}
