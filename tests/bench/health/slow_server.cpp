// An HTTP server that answers every request after a fixed time: slow_server PORT MILLISECONDS
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <deque>
#include <string_view>

using Clock = std::chrono::steady_clock;

int main(int argc, char** argv) {
  if (argc != 3) return 64;
  std::signal(SIGPIPE, SIG_IGN);
  const auto delay = std::chrono::milliseconds{std::atoi(argv[2])};
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  const int one = 1;
  ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(argv[1])));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || ::listen(listener, 4096) != 0) return 69;
  const int epoll = ::epoll_create1(0);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = listener;
  ::epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);
  std::deque<std::pair<Clock::time_point, int>> waiting;
  constexpr std::string_view answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok";
  std::array<epoll_event, 256> events{};
  for (;;) {
    int timeout = -1;
    if (!waiting.empty()) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(waiting.front().first - Clock::now()).count();
      timeout = left > 0 ? static_cast<int>(left) : 0;
    }
    const int count = ::epoll_wait(epoll, events.data(), static_cast<int>(events.size()), timeout);
    for (int i = 0; i < count; ++i) {
      const int fd = events[static_cast<std::size_t>(i)].data.fd;
      if (fd == listener) {
        for (int peer = 0; (peer = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK)) >= 0;) {
          ::setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
          event.events = EPOLLIN;
          event.data.fd = peer;
          ::epoll_ctl(epoll, EPOLL_CTL_ADD, peer, &event);
        }
        continue;
      }
      std::array<char, 4096> buffer;
      const auto got = ::recv(fd, buffer.data(), buffer.size(), 0);
      if (got <= 0) {
        // The number is used again: its answer must not reach who comes next.
        std::erase_if(waiting, [fd](const auto& answered) { return answered.second == fd; });
        ::close(fd);
      } else {
        waiting.emplace_back(Clock::now() + delay, fd);
      }
    }
    const auto now = Clock::now();
    for (; !waiting.empty() && waiting.front().first <= now; waiting.pop_front()) {
      [[maybe_unused]] const auto sent = ::send(waiting.front().second, answer.data(), answer.size(), 0);
    }
  }
}
