#pragma once
// A real server that behaves as a test's script says, one thread a connection.
#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "tests/support/certificates.hpp"

struct ssl_st;
struct ssl_ctx_st;

namespace codops::tests {

// The server's end of one connection.
class Peer {
 public:
  Peer(int fd, ssl_st* tls) : fd_{fd}, tls_{tls} {}
  // Everything up to the blank line of a request; empty when the client closed.
  std::string read_request();
  std::string read_some();  // empty: closed
  bool send(std::string_view bytes);
  // Waits until the client hangs up or so much time has passed; true: it hung up. What it sends meanwhile is dropped.
  bool wait_for_hangup(int milliseconds);
  void reset();  // ends the connection with a reset
  int fd() const { return fd_; }

 private:
  int fd_;
  ssl_st* tls_;
};

struct ServerOptions {
  std::string address{"127.0.0.1"};
  const Identity* identity{nullptr};  // TLS
  std::string chain;                  // PEM of intermediates to send too
  std::string client_ca;              // file: clients must have a certificate of it
  bool client_may_lack{false};        // they are asked for one, and may have none
  bool tls12{false};                  // no newer version
  bool http2{false};                  // offered by ALPN (a script must then speak it)
  bool handshake{true};               // false: the script gets the socket before TLS
  std::uint16_t port{0};
};

class ScriptedServer {
 public:
  using Script = std::function<void(Peer&)>;
  explicit ScriptedServer(Script script, ServerOptions options = {});
  ~ScriptedServer();
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  std::uint16_t port() const { return port_; }
  std::string url(std::string_view path = "/") const;  // http or https, with 127.0.0.1
  int connections() const { return connections_; }

 private:
  void accept_all();
  void serve(int fd);

  Script script_;
  ServerOptions options_;
  int listener_{-1};
  int stop_{-1};
  std::uint16_t port_{0};
  std::shared_ptr<ssl_ctx_st> context_;
  std::atomic<int> connections_{0};
  std::mutex mutex_;
  std::list<std::thread> threads_;
  std::thread acceptor_;
};

// "HTTP/1.1 200 OK" with Content-Length and Connection: close.
std::string response(std::string_view body, std::string_view status = "200 OK", std::string_view headers = "");

}  // namespace codops::tests
