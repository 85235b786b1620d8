#include "lib/io/tcp_probe.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>

namespace codops::io {
namespace {

constexpr Milliseconds head_start{200};

// IPv6 and IPv4 by turns, in the order of the resolver's preference (RFC 8305, section 4).
std::deque<Address> interleave(const std::vector<Address>& addresses) {
  std::deque<Address> out, other;
  if (addresses.empty()) return out;
  const auto first = addresses.front().storage.ss_family;
  std::deque<Address> same;
  for (const auto& address : addresses) (address.storage.ss_family == first ? same : other).push_back(address);
  while (!same.empty() || !other.empty()) {
    for (auto* list : {&same, &other}) {
      if (list->empty()) continue;
      out.push_back(list->front());
      list->pop_front();
    }
  }
  return out;
}

StageTimes::Duration since(EventLoop::TimePoint start) {
  return std::chrono::duration_cast<StageTimes::Duration>(std::chrono::steady_clock::now() - start);
}

}  // namespace

std::string to_string(const TcpTarget& target) {
  if (target.host.empty() && !target.via.unix_socket.empty()) return target.via.unix_socket;
  return to_string(HostPort{target.host, target.port});
}

Connector::Connector(EventLoop& loop, Resolver& resolver, const TcpTarget& target, Done done)
    : loop_{loop}, target_{target}, done_{std::move(done)}, stage_start_{std::chrono::steady_clock::now()} {
  if (!target_.via.unix_socket.empty()) {
    timer_ = loop_.after(Milliseconds{0}, [this] { start_race({unix_address(target_.via.unix_socket)}); });
    return;
  }
  const auto& host = target_.via.host.empty() ? target_.host : target_.via.host;
  if (auto addresses = numeric_addresses(host); !addresses.empty()) {
    timer_ = loop_.after(Milliseconds{0}, [this, addresses = std::move(addresses)]() mutable {
      start_race(std::move(addresses));
    });
    return;
  }
  ticket_ = resolver.resolve(host, [this](const Resolver::Answer& answer) { resolved(answer); });
}

Connector::~Connector() {
  close_all();
  if (connected_ >= 0) ::close(connected_);
}

std::uint16_t Connector::port() const noexcept {
  return target_.via.host.empty() || target_.via.port == 0 ? target_.port : target_.via.port;
}

void Connector::resolved(const Resolver::Answer& answer) {
  times_.add(Stage::dns, since(stage_start_));
  stage_start_ = std::chrono::steady_clock::now();
  if (answer.error != 0) {
    finish(dns_trouble(answer, target_.via.host.empty() ? target_.host : target_.via.host));
    return;
  }
  start_race(answer.addresses);
}

void Connector::start_race(std::vector<Address> addresses) {
  timer_.reset();
  stage_ = Stage::connect;
  stage_start_ = std::chrono::steady_clock::now();
  for (auto& address : addresses) set_port(address, port());
  candidates_ = interleave(addresses);
  try_next();
}

void Connector::try_next() {
  if (timer_) loop_.cancel(*timer_);
  timer_.reset();
  if (candidates_.empty()) return;
  const auto address = candidates_.front();
  candidates_.pop_front();
  address_ = to_string(address, port());
  const int fd = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return attempt_failed(errno, address);
  if (address.storage.ss_family != AF_UNIX) {
    const int one = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  }
  attempts_.push_back(fd);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address.storage), address.size) == 0) return won(fd, address);
  if (errno != EINPROGRESS) {
    const int error = errno;
    attempts_.pop_back();
    ::close(fd);
    return attempt_failed(error, address);
  }
  loop_.watch(fd, EPOLLOUT, [this, fd, address](std::uint32_t) { attempt_ready(fd, address); });
  if (!candidates_.empty()) timer_ = loop_.after(head_start, [this] { try_next(); });
}

void Connector::attempt_ready(int fd, const Address& address) {
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error == 0) return won(fd, address);
  loop_.unwatch(fd);
  ::close(fd);
  std::erase(attempts_, fd);
  attempt_failed(error, address);
}

void Connector::attempt_failed(int error, const Address& address) {
  auto trouble = connect_trouble(error, to_string(address, port()));
  trouble.address = to_string(address, port());
  // The most telling of several: a refusal says more than a missing route (a host without IPv6).
  const bool no_route = error == ENETUNREACH || error == EHOSTUNREACH || error == EADDRNOTAVAIL;
  if (!worst_ || !no_route) worst_ = std::move(trouble);
  if (!candidates_.empty()) return try_next();
  if (attempts_.empty()) finish(std::move(*worst_));
}

void Connector::won(int fd, const Address& address) {
  loop_.unwatch(fd);
  std::erase(attempts_, fd);
  connected_ = fd;
  peer_ = address;
  address_ = to_string(address, port());
  times_.add(Stage::connect, since(stage_start_));
  finish({});
}

void Connector::finish(ProbeResult result) {
  close_all();
  result.times = times_;
  result.address = address_;
  // The callback may destroy this object.
  const auto done = std::move(done_);
  done(result);
}

void Connector::close_all() noexcept {
  if (timer_) loop_.cancel(*timer_);
  timer_.reset();
  for (const int fd : attempts_) {
    loop_.unwatch(fd);
    ::close(fd);
  }
  attempts_.clear();
  candidates_.clear();
  ticket_.reset();
}

std::unique_ptr<Probe> start_tcp_probe(EventLoop& loop, Resolver& resolver, const TcpTarget& target,
                                       Connector::Done done) {
  return std::make_unique<Connector>(loop, resolver, target, std::move(done));
}

}  // namespace codops::io
