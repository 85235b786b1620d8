#include "lib/io/redis.hpp"

#include <hiredis/hiredis.h>

#include "lib/base/failure.hpp"
#include "lib/base/without_secret.hpp"
#include "lib/io/redis_reply.hpp"

namespace codops::io {
namespace {

constexpr std::size_t mark_size = 40;  // of the random text that ends a snapshot of unknown length

RedisAnswer to_answer(const ::redisReply& reply) {
  RedisAnswer answer;
  const auto plain = redis_reply(&reply);
  answer.error = plain.error;
  answer.text = plain.text;
  answer.absent = reply.type == REDIS_REPLY_NIL;
  if (reply.type == REDIS_REPLY_ARRAY) {
    for (std::size_t i = 0; i < reply.elements; ++i) answer.items.push_back(to_answer(*reply.element[i]));
  }
  return answer;
}

// "$<length>" or "$EOF:<mark>", after any number of empty lines that keep the connection alive.
struct SnapshotHead {
  std::uint64_t size{};
  std::string mark;  // empty: the size is known
};

}  // namespace

struct RedisConnection::State {
  EventLoop loop;
  Resolver resolver{loop, 1};
  TrustStores stores;
  std::string shown;
  Secret password;
  std::unique_ptr<Connector> connector;
  std::unique_ptr<Stream> stream;
  std::unique_ptr<redisReader, decltype(&::redisReaderFree)> reader{::redisReaderCreate(), &::redisReaderFree};
  std::size_t expected{};
  std::vector<RedisAnswer> collected;
  std::optional<Failure> trouble;
  std::function<void(std::string_view)> raw;  // takes all bytes instead of the reader
  std::exception_ptr thrown;

  [[noreturn]] void lost(const std::string& why) {
    throw Failure{Exit::unavailable, fmt::format("{}: {}", shown, why.empty() ? "the server closed the connection" : why)};
  }

  // Serves the loop until `done` holds.
  template <typename Done>
  void until(const Done& done, const Limits& limits) {
    while (!done()) {
      if (thrown) std::rethrow_exception(std::exchange(thrown, {}));
      if (trouble) throw Failure{*trouble};
      if (loop.run(limits) == EventLoop::End::stopped) continue;
      limits.check(fmt::format("an answer of {}", shown));
      throw Failure{Exit::deadline, fmt::format("an answer of {} took too long", shown)};
    }
    if (thrown) std::rethrow_exception(std::exchange(thrown, {}));
  }

  void received(std::string_view bytes) {
    if (thrown || trouble) return;
    try {
      if (raw) {
        raw(bytes);
        return;
      }
      ::redisReaderFeed(reader.get(), bytes.data(), bytes.size());
      for (;;) {
        void* reply = nullptr;
        if (::redisReaderGetReply(reader.get(), &reply) != REDIS_OK) {
          trouble = Failure{Exit::failed, fmt::format("{} does not speak Redis", shown), "check the port, and whether it wants TLS (rediss://)"};
          break;
        }
        if (reply == nullptr) break;
        const std::unique_ptr<void, decltype(&::freeReplyObject)> owned{reply, &::freeReplyObject};
        collected.push_back(to_answer(*static_cast<const ::redisReply*>(reply)));
      }
    } catch (...) {
      thrown = std::current_exception();
    }
    loop.stop();
  }
};

RedisConnection::RedisConnection(const RedisTarget& target, const Limits& limits) : state_{std::make_unique<State>()} {
  auto& state = *state_;
  state.shown = to_string(target);
  state.password = target.password;
  const auto bounded = limits.within(Milliseconds{10'000});
  std::optional<ProbeResult> result;
  const auto failed = [&](const ProbeResult& found) {
    return Failure{Exit::unavailable, fmt::format("{}: {}", state.shown, found.message), found.hint};
  };
  state.connector = std::make_unique<Connector>(state.loop, state.resolver, target.tcp, [&](const ProbeResult& found) {
    result = found;
    state.loop.stop();
  });
  state.until([&] { return result.has_value(); }, bounded);
  if (result->trouble != Trouble::none) throw failed(*result);
  state.stream = std::make_unique<Stream>(state.loop, state.connector->take());
  if (target.tls) {
    result.reset();
    state.stream->secure(state.stores, target.trust, target.server_name.empty() ? target.tcp.host : target.server_name,
                         [&](const ProbeResult& found) {
                           result = found;
                           state.loop.stop();
                         });
    state.until([&] { return result.has_value(); }, bounded);
    if (result->trouble != Trouble::none) throw failed(*result);
  }
  auto* own = state_.get();
  state.stream->listen([own](std::string_view bytes) { own->received(bytes); },
                       [own](const std::string& why) {
                         if (!own->trouble) {
                           own->trouble = Failure{Exit::unavailable, fmt::format("{}: {}", own->shown, why.empty() ? "the server closed the connection" : why)};
                         }
                         own->loop.stop();
                       });
  if (target.password.empty()) return;
  std::vector<std::string> login{"AUTH"};
  if (!target.user.empty()) login.push_back(target.user);
  login.push_back(target.password.reveal());
  if (const auto answer = ask(login, bounded); answer.error) {
    throw Failure{Exit::config, fmt::format("{} refuses the login: {}", state.shown, without_secret(answer.text, target.password)), "check user and password of the URL"};
  }
}

RedisConnection::~RedisConnection() = default;
RedisConnection::RedisConnection(RedisConnection&&) noexcept = default;

void RedisConnection::send(const std::vector<std::string>& words) {
  state_->stream->send(redis_command(words));
  ++state_->expected;
}

std::size_t RedisConnection::unanswered() const { return state_->expected; }

std::vector<RedisAnswer> RedisConnection::answers(const Limits& limits) {
  state_->until([&] { return state_->collected.size() >= state_->expected; }, limits);
  state_->expected = 0;
  return std::exchange(state_->collected, {});
}

RedisAnswer RedisConnection::ask(const std::vector<std::string>& words, const Limits& limits) {
  send(words);
  return std::move(answers(limits).back());
}

RedisAnswer RedisConnection::command(const std::vector<std::string>& words, const Limits& limits) {
  auto answer = ask(words, limits);
  if (answer.error) throw Failure{Exit::failed, fmt::format("{} answers {} with: {}", state_->shown, words.front(), without_secret(answer.text, state_->password))};
  return answer;
}

std::uint64_t RedisConnection::snapshot(const std::function<void(std::string_view)>& sink, const Limits& limits) {
  auto& state = *state_;
  // A replica that can read a stream without a length spares the server its disk; one that wants no more than the
  // snapshot (7.0) gets no commands after it. Servers that know neither answer with an error: nothing is lost.
  ask({"REPLCONF", "capa", "eof"}, limits);
  ask({"REPLCONF", "rdb-only", "1"}, limits);
  std::string head, held;
  std::optional<SnapshotHead> known;
  std::uint64_t total = 0;
  bool ended = false;
  const auto take_body = [&](std::string_view bytes) {
    if (known->mark.empty()) {
      const auto taken = bytes.substr(0, known->size - total);
      total += taken.size();
      if (!taken.empty()) sink(taken);
      ended = total == known->size;
      return;
    }
    held.append(bytes);
    if (held.ends_with(known->mark)) {
      held.resize(held.size() - mark_size);
      ended = true;
    }
    const auto free = ended ? held.size() : held.size() - std::min(held.size(), mark_size);
    if (free > 0) sink(std::string_view{held}.substr(0, free));
    total += free;
    held.erase(0, free);
  };
  state.raw = [&](std::string_view bytes) {
    if (ended) return;
    if (known) {
      take_body(bytes);
    } else {
      head.append(bytes);
      head.erase(0, std::min(head.find_first_not_of('\n'), head.size()));
      const auto end = head.find("\r\n");
      if (end == std::string::npos) {
        if (head.size() > 1024) throw Failure{Exit::failed, fmt::format("{} answers SYNC with something else", state.shown)};
      } else {
        const auto line = head.substr(0, end);
        if (line.starts_with('-')) {
          const bool denied = line.starts_with("-NOPERM") || line.starts_with("-NOAUTH");
          throw Failure{denied ? Exit::config : Exit::failed, fmt::format("{} gives no snapshot: {}", state.shown, line.substr(1)),
                        denied ? "the user of the URL needs +sync and +replconf" : ""};
        }
        known.emplace();
        if (line.starts_with("$EOF:") && line.size() == 5 + mark_size) {
          known->mark = line.substr(5);
        } else if (line.starts_with('$')) {
          known->size = std::strtoull(line.c_str() + 1, nullptr, 10);
        } else {
          throw Failure{Exit::failed, fmt::format("{} answers SYNC with something else", state.shown)};
        }
        take_body(std::string_view{head}.substr(end + 2));
      }
    }
    if (ended) state.loop.stop();
  };
  state.stream->send("SYNC\r\n");
  try {
    state.until([&] { return ended; }, limits);
  } catch (Failure& failure) {
    if (!ended && failure.code() == Exit::unavailable) failure.add_context("the snapshot was cut off");
    throw;
  }
  state.raw = {};
  return total;
}

}  // namespace codops::io
