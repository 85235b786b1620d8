#include "lib/engine/kubernetes/dialer.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "lib/engine/json_fields.hpp"
#include "lib/engine/kubernetes/containers.hpp"
#include "lib/engine/kubernetes/port_forward.hpp"
#include "lib/io/unix_listener.hpp"

namespace codops::engine::kubernetes {
namespace {

// How long a refusal may take to come back; what comes later ends the connection that it is about.
constexpr Milliseconds refusal_patience{300};
constexpr Milliseconds connect_patience{1'000};
constexpr Milliseconds half_closed_silence{30'000};

class AddressEndpoint final : public target::Endpoint {
 public:
  AddressEndpoint(std::string host, std::uint16_t port) : host_{std::move(host)}, port_{port} {}
  std::string host() const override { return host_; }
  std::uint16_t port() const override { return port_; }
  std::string unix_socket() const override { return {}; }

 private:
  std::string host_;
  std::uint16_t port_;
};

// Carries bytes between a connection of ours and a forwarded port until either ends.
class PortCarriage {
 public:
  PortCarriage(int client, io::Duplex& port) : client_{client}, port_{port} {}

  void run(const Limits& limits) {
    while (!port_ended_ || !to_client_.empty()) {
      const bool moved = from_client() | to_port() | from_port() | to_client();
      if (moved) last_moved_ = Deadline::after(half_closed_silence);
      else if (!wait(limits)) return;
    }
  }

 private:
  static constexpr std::size_t most_buffered = 256 * 1024;

  bool from_client() {
    if (client_ended_ || !to_port_.empty()) return false;
    const auto count = ::recv(client_, chunk_.data(), chunk_.size(), MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (count <= 0) {
      client_ended_ = true;
      return true;
    }
    to_port_.assign(chunk_.data(), static_cast<std::size_t>(count));
    return true;
  }

  bool to_port() {
    if (to_port_.empty()) {
      port_busy_ = false;
      return false;
    }
    const auto count = port_.try_write(to_port_);
    port_busy_ = count == 0;
    to_port_.erase(0, count);
    return count > 0;
  }

  bool from_port() {
    if (port_ended_ || to_client_.size() >= most_buffered) return false;
    const auto count = port_.try_read(chunk_.data(), chunk_.size());
    if (!count) return false;
    if (*count == 0) port_ended_ = true;
    else to_client_.append(chunk_.data(), *count);
    return true;
  }

  bool to_client() {
    if (to_client_.empty()) return false;
    const auto count = ::send(client_, to_client_.data(), to_client_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0) {
      if (errno == EAGAIN || errno == EINTR) return false;
      port_ended_ = true;
      to_client_.clear();
      return true;
    }
    to_client_.erase(0, static_cast<std::size_t>(count));
    return true;
  }

  // False: nobody waits for anything any more.
  bool wait(const Limits& limits) {
    // Once our client has ended its side it is polled for nothing but its hang-up, which poll always tells.
    const short client_bits = static_cast<short>((!client_ended_ && to_port_.empty() ? POLLIN : 0) | (to_client_.empty() ? 0 : POLLOUT));
    const short port_bits = static_cast<short>((!port_ended_ && to_client_.size() < most_buffered ? POLLIN : 0) | (port_busy_ ? POLLOUT : 0));
    std::array<pollfd, 3> fds{pollfd{client_, client_bits, 0}, pollfd{port_bits != 0 ? port_.fd() : -1, port_bits, 0}, pollfd{limits.cancel.fd(), POLLIN, 0}};
    const auto deadline = client_ended_ ? limits.deadline.sooner(last_moved_) : limits.deadline;
    const int events = ::poll(fds.data(), fds.size(), deadline.poll_timeout());
    limits.check("the connection");
    if ((fds[0].revents & (POLLHUP | POLLERR)) != 0 && client_ended_) return false;
    return events != 0;
  }

  int client_;
  io::Duplex& port_;
  std::string to_client_, to_port_;
  std::array<char, 32768> chunk_;
  Deadline last_moved_{Deadline::after(half_closed_silence)};
  bool client_ended_{false}, port_ended_{false}, port_busy_{false};
};

class ForwardEndpoint final : public target::Endpoint {
 public:
  ForwardEndpoint(Api& api, std::string namespace_, std::string pod, std::uint16_t port)
      : listener_{[&api, namespace_ = std::move(namespace_), pod = std::move(pod), port](io::Fd client, const Cancel& cancel) {
          const Limits limits{Deadline::never(), cancel};
          const auto connection = open_port(api, namespace_, pod, port, limits);
          PortCarriage{client.get(), *connection}.run(limits);
        }} {}
  std::string host() const override { return {}; }
  std::uint16_t port() const override { return 0; }
  std::string unix_socket() const override { return listener_.path(); }

 private:
  io::UnixListener listener_;
};

// Opens the port once, so that a refusal is known before anybody relies on it.
void try_port(Api& api, const std::string& namespace_, const std::string& pod, std::uint16_t port, const Limits& limits) {
  const auto connection = open_port(api, namespace_, pod, port, limits);
  const auto bounded = limits.within(refusal_patience);
  char byte = 0;
  for (;;) {
    const auto count = connection->try_read(&byte, 1);
    if (count && *count > 0) return;
    if (count) throw Failure{Exit::unavailable, fmt::format("port {} of Pod {}/{} ends every connection at once", port, namespace_, pod)};
    if (limits.within(bounded.deadline.remaining()).wait(connection->fd(), POLLIN) == 0) {
      limits.check("the port");
      return;
    }
  }
}

}  // namespace

PodDialer::PodDialer(Api& api, std::string namespace_) : api_{api}, namespace_{std::move(namespace_)} {}

std::unique_ptr<target::Endpoint> PodDialer::dial(const std::string& container, std::uint16_t port, const Limits& limits) {
  const auto where = parse_container_id(container, namespace_);
  const auto pod = api_.find({"v1", "Pod", where.namespace_, where.pod}, limits);
  if (!pod) throw Failure{Exit::unavailable, fmt::format("there is no Pod {}/{}", where.namespace_, where.pod)};
  if (text_at(*pod, {"status", "phase"}) != "Running") {
    throw Failure{Exit::unavailable, fmt::format("Pod {}/{} does not run: {}", where.namespace_, where.pod, text_at(*pod, {"status", "phase"})),
                  fmt::format("kubectl -n {} describe pod {}", where.namespace_, where.pod)};
  }
  // A pod's address means something only inside the cluster: the same one elsewhere is another's.
  if (const auto address = text_at(*pod, {"status", "podIP"}); !address.empty() && api_.client().connection().origin == "in-cluster") {
    if (io::tcp_answers(address, port, limits.within(connect_patience))) return std::make_unique<AddressEndpoint>(address, port);
  }
  try {
    try_port(api_, where.namespace_, where.pod, port, limits);
  } catch (Failure& failure) {
    if (failure.code() == Exit::unavailable) failure.with_hint(fmt::format("see what it listens on: kubectl -n {} logs {}", where.namespace_, where.pod));
    throw;
  }
  return std::make_unique<ForwardEndpoint>(api_, where.namespace_, where.pod, port);
}

}  // namespace codops::engine::kubernetes
