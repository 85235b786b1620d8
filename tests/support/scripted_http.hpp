#pragma once
// An HTTP server on a private Unix socket that answers from a script, for what real servers don't do on demand.
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <mutex>
#include <string>
#include <vector>

#include "lib/io/unix_listener.hpp"

namespace codops::tests {

class ScriptedHttp {
 public:
  struct Answer {
    std::string bytes;            // sent as they are
    enum class Then { keep, close, hang } then{Then::keep};
  };

  // One answer per request, in order of arrival over all connections; afterwards connections are closed.
  explicit ScriptedHttp(std::vector<Answer> answers)
      : answers_{std::move(answers)},
        listener_{[this](io::Fd connection, const Cancel& cancel) { serve(connection, cancel); }} {}

  const std::string& path() const { return listener_.path(); }
  std::vector<std::string> requests() const {
    const std::lock_guard lock{mutex_};
    return requests_;
  }
  std::size_t connections() const { return connections_; }

  static std::string ok(const std::string& body, const std::string& headers = {}) {
    return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + headers + "\r\n" + body;
  }
  static std::string status(int code, const std::string& body) {
    return "HTTP/1.1 " + std::to_string(code) + " X\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }

 private:
  void serve(const io::Fd& connection, const Cancel& cancel) {
    const Limits limits{Deadline::after(Milliseconds{20'000}), cancel};
    ++connections_;
    std::string text;
    for (;;) {
      std::array<char, 65536> chunk;
      auto end = text.find("\r\n\r\n");
      while (end == std::string::npos || text.size() < end + 4 + length_in(text)) {
        limits.wait(connection.get(), POLLIN);
        const auto count = ::read(connection.get(), chunk.data(), chunk.size());
        if (count <= 0) return;
        text.append(chunk.data(), static_cast<std::size_t>(count));
        end = text.find("\r\n\r\n");
      }
      Answer answer;
      {
        const std::lock_guard lock{mutex_};
        requests_.push_back(std::exchange(text, {}));
        if (next_ == answers_.size()) return;
        answer = answers_[next_++];
      }
      [[maybe_unused]] const auto sent = ::send(connection.get(), answer.bytes.data(), answer.bytes.size(), MSG_NOSIGNAL);
      if (answer.then == Answer::Then::close) return;
      if (answer.then == Answer::Then::hang) limits.wait(-1, 0);
    }
  }

  static std::size_t length_in(const std::string& text) {
    const auto found = text.find("Content-Length: ");
    return found == std::string::npos ? 0 : static_cast<std::size_t>(std::stoul(text.substr(found + 16)));
  }

  std::vector<Answer> answers_;
  std::size_t next_{0};
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;
  std::atomic<std::size_t> connections_{0};
  io::UnixListener listener_;
};

}  // namespace codops::tests
