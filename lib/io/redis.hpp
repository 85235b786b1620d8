#pragma once
// One connection to Redis for commands that wait for their answers, and for a snapshot of everything it holds. hiredis
// writes and reads the protocol.
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/cancel.hpp"
#include "lib/io/redis_probe.hpp"

namespace codops::io {

struct RedisAnswer {
  bool error{};
  bool absent{};     // nil
  std::string text;  // of a string, status, error or number
  std::vector<RedisAnswer> items;
};

class RedisConnection {
 public:
  // Connects, and logs in where the target has a password. Failure{unavailable} when nobody answers, Failure{config} when
  // the login is refused. The target's database is not selected.
  RedisConnection(const RedisTarget& target, const Limits& limits);
  ~RedisConnection();
  RedisConnection(RedisConnection&&) noexcept;
  RedisConnection& operator=(RedisConnection&&) = delete;

  // Failure{failed} with the server's own words when it answers with an error.
  RedisAnswer command(const std::vector<std::string>& words, const Limits& limits);
  // The same, errors included: for what may be refused.
  RedisAnswer ask(const std::vector<std::string>& words, const Limits& limits);
  // Sends without waiting for the answer; answers() collects those of all that were sent so, in order.
  void send(const std::vector<std::string>& words);
  std::size_t unanswered() const;  // bytes sent and commands still to be answered keep memory: collect now and then
  std::vector<RedisAnswer> answers(const Limits& limits);

  // Everything the server holds at one moment, as an RDB file: SYNC, as a replica asks for it. The connection is of no use
  // afterwards. Failure{failed} when it ends before its end. Returns the number of bytes.
  std::uint64_t snapshot(const std::function<void(std::string_view)>& sink, const Limits& limits);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace codops::io
