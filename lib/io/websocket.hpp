#pragma once
// WebSocket (RFC 6455) as a client over a connection that HttpClient::hijack() handed over: messages in both directions.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "lib/io/duplex.hpp"

namespace codops::io {

// Cuts messages out of bytes, however they arrive. Throws Failure{unavailable} for what a server must not send.
class WebSocketReader {
 public:
  struct Message {
    enum class Kind { text, binary, ping, pong, close } kind{Kind::binary};
    std::string payload;
  };
  explicit WebSocketReader(std::size_t largest = 16U << 20U) : largest_{largest} {}
  void feed(std::string_view bytes) { buffer_ += bytes; }
  std::optional<Message> next();  // nullopt: more bytes are needed

 private:
  std::size_t largest_, start_{0};
  std::string buffer_, fragments_;
  std::optional<Message::Kind> fragmented_;
};

// A masked frame that is a whole message. `mask`: four random bytes.
enum class WebSocketOpcode : std::uint8_t { text = 1, binary = 2, close = 8, ping = 9, pong = 10 };
std::string websocket_frame(WebSocketOpcode opcode, std::string_view payload, std::string_view mask);

// The value of Sec-WebSocket-Accept for a Sec-WebSocket-Key.
std::string websocket_accept(std::string_view key);

class WebSocket {
 public:
  WebSocket(std::unique_ptr<Duplex> connection, std::string protocol);

  // The subprotocol that the server chose.
  const std::string& protocol() const noexcept { return protocol_; }
  // Never waits. The next text or binary message; nullopt: none is there now, or ended().
  std::optional<std::string> try_receive();
  bool ended() const noexcept { return ended_; }
  // 1000: a clean end; 1006: the connection was lost without one.
  int close_code() const noexcept { return close_code_; }
  const std::string& close_reason() const noexcept { return close_reason_; }
  // Takes a message; what the connection did not take at once waits for flush().
  void send(std::string_view payload);
  void send_close();
  bool flush();  // never waits; true when nothing is left
  std::size_t unsent() const noexcept { return unsent_.size() - sent_; }
  int fd() const { return connection_->fd(); }

 private:
  void queue(WebSocketOpcode opcode, std::string_view payload);

  std::unique_ptr<Duplex> connection_;
  std::string protocol_;
  WebSocketReader reader_;
  std::string unsent_;
  std::size_t sent_{0};
  bool ended_{false}, closing_{false};
  int close_code_{1006};
  std::string close_reason_;
};

}  // namespace codops::io
