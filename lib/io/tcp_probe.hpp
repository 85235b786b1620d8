#pragma once
// Connecting on the event loop: the name looked up, its addresses raced (RFC 8305: a dead IPv6 address costs 200 ms,
// not the kernel's two minutes).
#include "lib/io/event_loop.hpp"
#include "lib/io/probe.hpp"
#include "lib/io/resolver.hpp"

namespace codops::io {

struct TcpTarget {
  std::string host;
  std::uint16_t port{};
  Via via;
};
std::string to_string(const TcpTarget& target);  // as the user named it

// One attempt to connect. `done` comes once, on the loop; on success take() gives the descriptor.
class Connector final : public Probe {
 public:
  using Done = std::function<void(const ProbeResult&)>;
  Connector(EventLoop& loop, Resolver& resolver, const TcpTarget& target, Done done);
  ~Connector() override;
  Connector(const Connector&) = delete;
  Connector& operator=(const Connector&) = delete;

  int take() noexcept { return std::exchange(connected_, -1); }  // non-blocking, close-on-exec; the caller closes it
  const Address& peer() const noexcept { return peer_; }

  Stage stage() const override { return stage_; }
  StageTimes times() const override { return times_; }
  std::string address() const override { return address_; }

 private:
  std::uint16_t port() const noexcept;  // that of `via` where it names one
  void resolved(const Resolver::Answer& answer);
  void start_race(std::vector<Address> addresses);
  void try_next();
  void attempt_ready(int fd, const Address& address);
  void attempt_failed(int error, const Address& address);
  void won(int fd, const Address& address);
  void finish(ProbeResult result);
  void close_all() noexcept;

  EventLoop& loop_;
  TcpTarget target_;
  Done done_;
  Resolver::Ticket ticket_;
  Stage stage_{Stage::dns};
  StageTimes times_;
  std::string address_;
  EventLoop::TimePoint stage_start_;
  std::deque<Address> candidates_;
  std::vector<int> attempts_;
  std::optional<EventLoop::Timer> timer_;
  std::optional<ProbeResult> worst_;
  Address peer_;
  int connected_{-1};
};

// A port that accepts is well.
std::unique_ptr<Probe> start_tcp_probe(EventLoop& loop, Resolver& resolver, const TcpTarget& target,
                                       Connector::Done done);

}  // namespace codops::io
