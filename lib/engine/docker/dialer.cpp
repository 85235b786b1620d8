#include "lib/engine/docker/dialer.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "lib/engine/docker/carrier.hpp"
#include "lib/engine/docker/stream_frames.hpp"
#include "lib/io/unix_listener.hpp"

namespace codops::engine::docker {
namespace {

constexpr Milliseconds connect_patience{300};

class TcpEndpoint final : public target::Endpoint {
 public:
  TcpEndpoint(std::string host, std::uint16_t port) : host_{std::move(host)}, port_{port} {}
  std::string host() const override { return host_; }
  std::uint16_t port() const override { return port_; }
  std::string unix_socket() const override { return {}; }

 private:
  std::string host_;
  std::uint16_t port_;
};

// Carries bytes between a connection of ours and an exec until either ends.
class Carriage {
 public:
  Carriage(int client, io::Duplex& exec)
      : client_{client}, exec_{exec}, frames_{[this](std::string_view bytes) { to_client_ += bytes; }, {}} {}

  void run(const Limits& limits) {
    while (!exec_ended_ || !to_client_.empty()) {
      const bool moved_in = from_client() | to_exec();
      const bool moved_out = from_exec() | to_client();
      if (!moved_in && !moved_out && (!exec_ended_ || !to_client_.empty())) wait(limits);
    }
  }

 private:
  static constexpr std::size_t most_buffered = 256 * 1024;

  bool from_client() {
    if (client_ended_ || !to_exec_.empty()) return false;
    const auto count = ::recv(client_, chunk_.data(), chunk_.size(), MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (count <= 0) {
      client_ended_ = true;
      exec_.end_writing();
      return true;
    }
    to_exec_.assign(chunk_.data(), static_cast<std::size_t>(count));
    return true;
  }

  bool to_exec() {
    if (to_exec_.empty()) return false;
    const auto count = exec_.try_write(to_exec_);
    to_exec_.erase(0, count);
    return count > 0;
  }

  bool from_exec() {
    if (exec_ended_ || to_client_.size() >= most_buffered) return false;
    const auto count = exec_.try_read(chunk_.data(), chunk_.size());
    if (!count) return false;
    if (*count == 0) {
      exec_ended_ = true;
    } else {
      frames_.feed({chunk_.data(), *count});
    }
    return true;
  }

  bool to_client() {
    if (to_client_.empty()) return false;
    const auto count = ::send(client_, to_client_.data(), to_client_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0) {
      if (errno == EAGAIN || errno == EINTR) return false;
      // Nobody reads any more.
      exec_ended_ = true;
      to_client_.clear();
      return true;
    }
    to_client_.erase(0, static_cast<std::size_t>(count));
    return true;
  }

  void wait(const Limits& limits) const {
    const auto bits = [](bool in, bool out) { return static_cast<short>((in ? POLLIN : 0) | (out ? POLLOUT : 0)); };
    // A side with nothing to wait for is left out: its hang-up would make poll return at once.
    const short client_bits = bits(!client_ended_ && to_exec_.empty(), !to_client_.empty());
    const short exec_bits = bits(!exec_ended_ && to_client_.size() < most_buffered, !to_exec_.empty());
    std::array<pollfd, 3> fds{pollfd{client_bits != 0 ? client_ : -1, client_bits, 0},
                              pollfd{exec_bits != 0 ? exec_.fd() : -1, exec_bits, 0},
                              pollfd{limits.cancel.fd(), POLLIN, 0}};
    ::poll(fds.data(), fds.size(), limits.deadline.poll_timeout());
    limits.check("the connection");
  }

  int client_;
  io::Duplex& exec_;
  StreamFrames frames_;
  std::string to_client_, to_exec_;
  std::array<char, 65536> chunk_;
  bool client_ended_{false}, exec_ended_{false};
};

class ExecEndpoint final : public target::Endpoint {
 public:
  ExecEndpoint(Api& api, std::string container, std::vector<std::string> argv)
      : listener_{[&api, container = std::move(container), argv = std::move(argv)](io::Fd client, const Cancel& cancel) {
          const Limits limits{Deadline::never(), cancel};
          const auto exec = api.create_exec(container, {.argv = argv, .with_stdin = true}, limits);
          const auto stream = api.attach_exec(exec, false, limits);
          Carriage{client.get(), *stream}.run(limits);
        }} {}
  std::string host() const override { return {}; }
  std::uint16_t port() const override { return 0; }
  std::string unix_socket() const override { return listener_.path(); }

 private:
  io::UnixListener listener_;
};

// A container's address means something here only if its engine is here: the same address elsewhere is another's.
bool engine_is_here(Api& api, const Limits& limits) {
  if (api.client().endpoint().remote()) return false;
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  return api.info(limits).name == name.data();
}

std::vector<std::string> addresses_of(const ContainerDetails& container) {
  std::vector<std::string> addresses;
  for (const auto& [name, network] : container.networks) {
    if (!network.address.empty()) addresses.push_back(network.address);
  }
  if (container.network_mode == "host") addresses.emplace_back("127.0.0.1");
  return addresses;
}

}  // namespace

std::unique_ptr<target::Endpoint> ContainerDialer::dial(const std::string& container, std::uint16_t port,
                                                        const Limits& limits) {
  const auto details = api_.inspect_container(container, limits);
  if (details.state != RunState::running) {
    throw Failure{Exit::unavailable, fmt::format("\"{}\" does not run", details.name), fmt::format("docker start {}", details.name)};
  }
  if (engine_is_here(api_, limits)) {
    for (const auto& address : addresses_of(details)) {
      if (io::tcp_answers(address, port, limits.within(connect_patience))) {
        return std::make_unique<TcpEndpoint>(address, port);
      }
    }
  }
  return dial_by_exec(details, port, limits);
}

std::unique_ptr<target::Endpoint> ContainerDialer::dial_by_exec(const ContainerDetails& container, std::uint16_t port,
                                                                const Limits& limits) {
  std::vector<std::string> hosts{"127.0.0.1"};
  for (auto& address : addresses_of(container)) hosts.push_back(std::move(address));
  std::string answer;
  int code = no_carrier;
  try {
    code = api_.run_exec(container.id, {.argv = carrier_probe(port, hosts)}, {},
                         [&answer](std::string_view bytes) { answer += bytes; }, {}, limits.within(Milliseconds{20'000}));
  } catch (const ApiError& error) {
    // So it answers when the image has no shell.
    if (error.status() != 400) throw;
  }
  if (code == nobody_listens) {
    throw Failure{Exit::unavailable, fmt::format("nobody listens on port {} in \"{}\"", port, container.name),
                  fmt::format("docker logs {}", container.name)};
  }
  const auto space = answer.find(' ');
  const auto end = answer.find_first_of("\r\n");
  if (code != 0 || space == std::string::npos) {
    throw Failure{Exit::unavailable, fmt::format("port {} of \"{}\" can't be reached from here", port, container.name),
                  "add nc, socat, bash or perl to the image, or publish the port on 127.0.0.1"};
  }
  return std::make_unique<ExecEndpoint>(api_, container.id, carrier_command(answer.substr(0, space), answer.substr(space + 1, end - space - 1), port));
}

}  // namespace codops::engine::docker
