#pragma once
// A Unix socket that only we can reach (a folder of mode 0700), and what is done for each connection to it.
#include <functional>
#include <memory>
#include <string>

#include "lib/base/cancel.hpp"
#include "lib/io/duplex.hpp"
#include "lib/io/fd.hpp"

namespace codops::io {

class UnixListener {
 public:
  // `serve` runs on a thread of its own for each connection, and ends when it likes or when `Cancel` asks it to.
  // What it throws ends the connection.
  using Serve = std::function<void(Fd connection, const Cancel& cancel)>;
  explicit UnixListener(Serve serve);
  ~UnixListener();  // cancels and joins all
  const std::string& path() const noexcept;  // for libpq: its folder as the host, 5432 as the port

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// How an IPv4 address takes a connection within the limits. refused: its host is reached, and nothing listens there.
enum class TcpAnswer { accepted, refused, none };
TcpAnswer ask_tcp(const std::string& address, std::uint16_t port, const Limits& limits);
// True when it succeeds.
bool tcp_answers(const std::string& address, std::uint16_t port, const Limits& limits);

}  // namespace codops::io
