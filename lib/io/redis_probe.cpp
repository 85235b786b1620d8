#include "lib/io/redis_probe.hpp"

#include <hiredis/hiredis.h>

#include "lib/base/without_secret.hpp"
#include "lib/io/redis_reply.hpp"

namespace codops::io {
namespace {

class RedisProbe final : public Probe {
 public:
  using Done = std::function<void(const RedisResult&)>;

  RedisProbe(EventLoop& loop, Resolver& resolver, TrustStores& stores, const RedisTarget& target, Done done)
      : loop_{loop}, stores_{stores}, target_{target}, done_{std::move(done)}, reader_{::redisReaderCreate(), &::redisReaderFree} {
    connector_ = std::make_unique<Connector>(loop, resolver, target.tcp,
                                             [this](const ProbeResult& result) { connected(result); });
  }

  Stage stage() const override { return stage_ == Stage::none ? connector_->stage() : stage_; }
  StageTimes times() const override { return stage_ == Stage::none ? connector_->times() : result_.times; }
  std::string address() const override { return connector_->address(); }

 private:
  void connected(const ProbeResult& result) {
    result_.times = result.times;
    if (result.trouble != Trouble::none) {
      static_cast<ProbeResult&>(result_) = result;
      return finish();
    }
    stream_ = std::make_unique<Stream>(loop_, connector_->take());
    enter(Stage::tls);
    if (!target_.tls) return ask();
    try {
      stream_->secure(stores_, target_.trust, target_.server_name.empty() ? target_.tcp.host : target_.server_name, [this](const ProbeResult& secured) {
        leave();
        if (secured.trouble == Trouble::none) {
          result_.tls = secured.tls;
          return ask();
        }
        take_trouble(secured);
      });
    } catch (const Failure& failure) {
      fail(Trouble::unknown, failure.message(), failure.hint());
    }
  }

  // Everything at once: the replies come in the same order.
  void ask() {
    enter(Stage::request);
    std::string out;
    if (!target_.password.empty()) {
      std::vector<std::string> auth{"AUTH"};
      if (!target_.user.empty()) auth.push_back(target_.user);
      auth.push_back(target_.password.reveal());
      out += redis_command(auth);
      expected_.push_back(Step::auth);
    }
    if (target_.database != 0) {
      out += redis_command({"SELECT", std::to_string(target_.database)});
      expected_.push_back(Step::select);
    }
    out += redis_command({"PING"});
    expected_.push_back(Step::ping);
    out += redis_command({"INFO"});
    expected_.push_back(Step::info);
    stream_->listen([this](std::string_view bytes) { received(bytes); },
                    [this](const std::string& why) {
                      if (const auto refused = stream_->certificate_trouble()) return take_trouble(*refused);
                      if (received_ == 0 && stream_->awaits_verdict()) return unwelcome();
                      fail(Trouble::failed, why.empty() ? "the server closed the connection" : "the connection broke: " + why,
                           "check that the port is Redis, and whether it wants TLS (rediss://)");
                    });
    stream_->send(out);
  }

  void received(std::string_view bytes) {
    received_ += bytes.size();
    if (received_ > most_bytes) return fail(Trouble::failed, "the answer is too large for Redis", "check what listens there");
    ::redisReaderFeed(reader_.get(), bytes.data(), bytes.size());
    while (done_ && !expected_.empty()) {
      void* raw = nullptr;
      if (::redisReaderGetReply(reader_.get(), &raw) != REDIS_OK) {
        return fail(Trouble::failed, "what answers does not speak Redis", "check the port, and whether it wants TLS (rediss://)");
      }
      if (raw == nullptr) return;
      const std::unique_ptr<void, decltype(&::freeReplyObject)> owned{raw, &::freeReplyObject};
      const auto step = expected_.front();
      expected_.pop_front();
      auto reply = redis_reply(raw);
      // Some errors quote the whole command, and so the login.
      reply.text = without_secret(reply.text, target_.password);
      take(step, reply);
    }
  }

  enum class Step { auth, select, ping, info };

  void take(Step step, const RedisReply& reply) {
    switch (step) {
      case Step::auth:
        if (reply.error && !turned_away(reply.text)) fail(Trouble::failed, "the login is refused: " + reply.text, "check user and password of the URL");
        return;
      case Step::select:
        if (!reply.error || turned_away(reply.text) || forbidden(reply.text, "select")) return;
        fail(Trouble::failed, fmt::format("database {} can't be selected: {}", target_.database, reply.text), "check the number at the end of the URL");
        return;
      case Step::ping:
        if (!reply.error && reply.text == "PONG") return;
        if (turned_away(reply.text) || forbidden(reply.text, "ping")) return;
        if (reply.text.starts_with("LOADING")) {
          fail(Trouble::failed, "Redis is still loading its data", "wait; INFO persistence shows how far it is");
        } else if (reply.text.starts_with("NOAUTH")) {
          fail(Trouble::failed, "Redis wants a password", "put it in the URL: redis://:PASSWORD@host");
        } else {
          fail(Trouble::failed, "PING is answered with: " + reply.text.substr(0, 200), "check the server's log");
        }
        return;
      case Step::info:
        // A user that may not ask for INFO still has a Redis that answers.
        if (reply.error) result_.facts.info_error = reply.text;
        else result_.facts = read_redis_info(reply.text);
        leave();
        finish();
    }
  }

  // Said instead of the first answer, whatever was asked.
  bool turned_away(const std::string& text) {
    if (!text.starts_with("ERR max number of clients")) return false;
    fail(Trouble::failed, "Redis takes no more clients: " + text, "look for idle ones in CLIENT LIST, or raise maxclients");
    return true;
  }

  // It lives, but this user may not ask.
  bool forbidden(const std::string& text, const std::string& command) {
    if (!text.starts_with("NOPERM")) return false;
    fail(Trouble::unknown, "the user may not ask: " + text, fmt::format("let it in the server's ACL: ACL SETUSER {} +{}", target_.user.empty() ? "default" : target_.user, command));
    return true;
  }

  void enter(Stage stage) {
    stage_ = stage;
    start_ = std::chrono::steady_clock::now();
  }
  void leave() {
    result_.times.add(stage_, std::chrono::duration_cast<StageTimes::Duration>(std::chrono::steady_clock::now() - start_));
  }

  // The server closed after it had asked for our certificate. Its reason is lost where it had not read what we sent meanwhile.
  void unwelcome() {
    stage_ = Stage::tls;
    if (result_.tls && result_.tls->misses_certificate) {
      fail(Trouble::failed, "the server closed the connection: it wants a client certificate, and none was given", "--cert FILE --key FILE");
    } else {
      fail(Trouble::failed, "the server closed the connection: it seems to refuse our client certificate",
           "check that it is from the CA that the server trusts, and see the server's log");
    }
  }

  void take_trouble(const ProbeResult& trouble) {
    const auto times = result_.times;
    static_cast<ProbeResult&>(result_) = trouble;
    result_.times = times;
    finish();
  }

  void fail(Trouble trouble, std::string message, std::string hint) {
    result_.trouble = trouble;
    result_.stage = stage_;
    result_.message = std::move(message);
    result_.hint = std::move(hint);
    finish();
  }

  void finish() {
    if (!done_) return;
    result_.address = connector_->address();
    const auto done = std::exchange(done_, {});
    done(result_);
  }

  static constexpr std::size_t most_bytes = 1U << 20U;

  EventLoop& loop_;
  TrustStores& stores_;
  RedisTarget target_;
  Done done_;
  std::unique_ptr<redisReader, decltype(&::redisReaderFree)> reader_;
  std::unique_ptr<Connector> connector_;
  std::unique_ptr<Stream> stream_;
  std::deque<Step> expected_;
  std::size_t received_{0};
  Stage stage_{Stage::none};
  EventLoop::TimePoint start_;
  RedisResult result_;
};

}  // namespace

std::unique_ptr<Probe> start_redis_probe(EventLoop& loop, Resolver& resolver, TrustStores& stores,
                                         const RedisTarget& target, std::function<void(const RedisResult&)> done) {
  return std::make_unique<RedisProbe>(loop, resolver, stores, target, std::move(done));
}

}  // namespace codops::io
