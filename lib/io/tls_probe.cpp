#include "lib/io/tls_probe.hpp"

namespace codops::io {
namespace {

class TlsProbe final : public Probe {
 public:
  TlsProbe(EventLoop& loop, Resolver& resolver, TrustStores& stores, const TlsTarget& target, Connector::Done done)
      : loop_{loop}, stores_{stores}, target_{target}, done_{std::move(done)} {
    connector_ = std::make_unique<Connector>(loop, resolver, target.tcp,
                                             [this](const ProbeResult& result) { connected(result); });
  }
  ~TlsProbe() override {
    if (timer_) loop_.cancel(*timer_);
  }
  TlsProbe(const TlsProbe&) = delete;
  TlsProbe& operator=(const TlsProbe&) = delete;

  Stage stage() const override { return stream_ ? Stage::tls : connector_->stage(); }
  StageTimes times() const override { return stream_ ? times_ : connector_->times(); }
  std::string address() const override { return connector_->address(); }

 private:
  void connected(const ProbeResult& result) {
    times_ = result.times;
    if (result.trouble != Trouble::none) return finish(result);
    start_ = std::chrono::steady_clock::now();
    stream_ = std::make_unique<Stream>(loop_, connector_->take());
    const auto& name = target_.server_name.empty() ? target_.tcp.host : target_.server_name;
    try {
      stream_->secure(stores_, target_.trust, name, [this](const ProbeResult& secured) { shaken(secured); });
    } catch (const Failure& failure) {
      ProbeResult trouble;
      trouble.trouble = Trouble::unknown;
      trouble.stage = Stage::tls;
      trouble.message = failure.message();
      trouble.hint = failure.hint();
      finish(trouble);
    }
  }

  void shaken(const ProbeResult& result) {
    const auto took = std::chrono::steady_clock::now() - start_;
    times_.add(Stage::tls, std::chrono::duration_cast<StageTimes::Duration>(took));
    if (result.trouble != Trouble::none || !stream_->awaits_verdict()) return finish(result);
    // Under TLS 1.3 our side of the handshake ends before the server has looked at our certificate. One that is content may say
    // nothing, so the wait for its refusal is bounded: a round trip more than the handshake took.
    const auto patience = std::max(shortest_verdict, std::chrono::duration_cast<Milliseconds>(2 * took));
    timer_ = loop_.after(patience, [this, result] {
      timer_.reset();
      finish(result);
    });
    stream_->listen([this, result](std::string_view) { finish(result); },
                    [this, result](const std::string&) { finish(stream_->certificate_trouble().value_or(result)); });
  }

  void finish(ProbeResult result) {
    if (!done_) return;
    if (timer_) loop_.cancel(*timer_);
    timer_.reset();
    result.times = times_;
    result.address = connector_->address();
    const auto done = std::exchange(done_, {});
    done(result);
  }

  static constexpr Milliseconds shortest_verdict{100};

  EventLoop& loop_;
  TrustStores& stores_;
  TlsTarget target_;
  Connector::Done done_;
  std::unique_ptr<Connector> connector_;
  std::unique_ptr<Stream> stream_;
  StageTimes times_;
  EventLoop::TimePoint start_;
  std::optional<EventLoop::Timer> timer_;
};

}  // namespace

std::unique_ptr<Probe> start_tls_probe(EventLoop& loop, Resolver& resolver, TrustStores& stores,
                                       const TlsTarget& target, Connector::Done done) {
  return std::make_unique<TlsProbe>(loop, resolver, stores, target, std::move(done));
}

}  // namespace codops::io
