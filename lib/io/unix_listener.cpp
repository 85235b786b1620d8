#include "lib/io/unix_listener.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <thread>
#include <vector>

#include "lib/io/files.hpp"

namespace codops::io {

struct UnixListener::State {
  TemporaryFolder folder;
  std::string path;
  Fd socket;
  Serve serve;
  CancelSource stop;
  std::thread accepting;
  std::vector<std::thread> serving;

  void accept_all() {
    const Limits limits{Deadline::never(), stop.token()};
    try {
      for (;;) {
        limits.wait(socket.get(), POLLIN);
        Fd connection{::accept4(socket.get(), nullptr, nullptr, SOCK_CLOEXEC)};
        if (!connection) continue;
        serving.emplace_back([this, fd = std::move(connection)]() mutable {
          try {
            serve(std::move(fd), stop.token());
          } catch (const std::exception&) {
            // Its end is what the peer notices.
          }
        });
      }
    } catch (const Failure&) {
      // Stopped.
    }
  }
};

UnixListener::UnixListener(Serve serve) : state_{std::make_unique<State>()} {
  state_->serve = std::move(serve);
  // libpq finds a socket only by the name that it makes of a port; the others take any.
  state_->path = (state_->folder.path() / ".s.PGSQL.5432").string();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (state_->path.size() >= sizeof address.sun_path) {
    throw Failure{Exit::config, fmt::format("\"{}\" is too long for a socket", state_->path), "set TMPDIR to a short path"};
  }
  std::memcpy(address.sun_path, state_->path.c_str(), state_->path.size() + 1);
  state_->socket.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  constexpr int backlog = 64;
  if (::bind(state_->socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(state_->socket.get(), backlog) != 0) {
    throw Failure{Exit::failed, fmt::format("\"{}\": {}", state_->path, std::strerror(errno))};
  }
  state_->accepting = std::thread{[state = state_.get()] { state->accept_all(); }};
}

UnixListener::~UnixListener() {
  state_->stop.cancel(Exit::terminated);
  state_->accepting.join();
  for (auto& thread : state_->serving) thread.join();
}

const std::string& UnixListener::path() const noexcept { return state_->path; }

TcpAnswer ask_tcp(const std::string& address, std::uint16_t port, const Limits& limits) {
  sockaddr_in target{};
  target.sin_family = AF_INET;
  target.sin_port = htons(port);
  if (::inet_pton(AF_INET, address.c_str(), &target.sin_addr) != 1) return TcpAnswer::none;
  const Fd socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&target), sizeof target) == 0) return TcpAnswer::accepted;
  int error = errno;
  if (error == EINPROGRESS) {
    if (limits.wait(socket.get(), POLLOUT) == 0) return TcpAnswer::none;
    socklen_t size = sizeof error;
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) return TcpAnswer::none;
  }
  return error == 0 ? TcpAnswer::accepted : error == ECONNREFUSED ? TcpAnswer::refused : TcpAnswer::none;
}

bool tcp_answers(const std::string& address, std::uint16_t port, const Limits& limits) { return ask_tcp(address, port, limits) == TcpAnswer::accepted; }

}  // namespace codops::io
