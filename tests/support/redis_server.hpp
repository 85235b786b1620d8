#pragma once
// A redis-server of a test's own, on a free port with a password, gone with the object.
#include <doctest/doctest.h>

#include <cstdlib>

#include "lib/base/retry.hpp"
#include "lib/io/files.hpp"
#include "lib/io/process.hpp"
#include "lib/io/redis.hpp"
#include "tests/support/scripted_server.hpp"

namespace codops::tests {

class OwnRedis {
 public:
  // nullptr: there is none; the caller returns after the MESSAGE that this made.
  static std::unique_ptr<OwnRedis> start(std::vector<std::string> more = {}) {
    const auto program = io::find_program("redis-server");
    if (!program) {
      MESSAGE("skipped: no redis-server");
      if (std::getenv("CODOPS_REQUIRE_SERVICES") != nullptr) FAIL_CHECK("redis-server is required");
      return nullptr;
    }
    auto out = std::make_unique<OwnRedis>();
    {
      const ScriptedServer free_port{[](Peer&) {}};
      out->port_ = free_port.port();
    }
    io::Program start;
    start.argv = {program->string(), "--port", std::to_string(out->port_), "--bind", "127.0.0.1", "--dir", out->folder_.path().string(), "--save", "", "--requirepass", "c4nary"};
    start.argv.insert(start.argv.end(), more.begin(), more.end());
    start.env = io::usual_environment();
    out->child_ = std::make_unique<io::Child>(start, io::Child::Stdio{});
    const auto limits = Limits{}.within(Milliseconds{10'000});
    Backoff backoff{Milliseconds{20}, Milliseconds{200}};
    for (;;) {
      try {
        io::RedisConnection{out->target(), limits}.command({"PING"}, limits);
        return out;
      } catch (const Failure&) {
        REQUIRE(backoff.wait(limits));
      }
    }
  }
  io::RedisTarget target() const { return io::parse_redis_url("redis://:c4nary@127.0.0.1:" + std::to_string(port_)); }
  // Commands on one connection; the last answer.
  io::RedisAnswer ask(const std::vector<std::vector<std::string>>& commands) const {
    io::RedisConnection connection{target(), Limits{}.within(Milliseconds{20'000})};
    io::RedisAnswer last;
    for (const auto& command : commands) last = connection.command(command, Limits{}.within(Milliseconds{20'000}));
    return last;
  }
  void stop() { child_->stop(); }

 private:
  io::TemporaryFolder folder_;
  std::uint16_t port_{};
  std::unique_ptr<io::Child> child_;
};

}  // namespace codops::tests
