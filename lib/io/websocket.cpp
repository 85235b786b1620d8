#include "lib/io/websocket.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>

#include "lib/base/failure.hpp"
#include "lib/io/crypto.hpp"
#include "lib/io/http.hpp"

namespace codops::io {
namespace {

constexpr std::uint8_t final_bit = 0x80, mask_bit = 0x80, reserved_bits = 0x70;
constexpr std::size_t largest_control = 125;

[[noreturn]] void broken_protocol(std::string_view why) {
  throw HttpFailure{HttpFailure::Kind::protocol, 0, fmt::format("the WebSocket's peer broke the protocol: {}", why)};
}

std::uint64_t big_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

void append_big_endian(std::string& to, std::uint64_t value, int bytes) {
  for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) to += static_cast<char>(value >> shift & 0xff);
}

}  // namespace

std::optional<WebSocketReader::Message> WebSocketReader::next() {
  using Kind = Message::Kind;
  for (;;) {
    const auto view = std::string_view{buffer_}.substr(start_);
    const auto wait_for_more = [this] {
      buffer_.erase(0, std::exchange(start_, 0));
      return std::nullopt;
    };
    if (view.size() < 2) return wait_for_more();
    const auto first = static_cast<std::uint8_t>(view[0]), second = static_cast<std::uint8_t>(view[1]);
    if ((first & reserved_bits) != 0) broken_protocol("reserved bits are set");
    if ((second & mask_bit) != 0) broken_protocol("a frame of a server is masked");
    std::size_t head = 2;
    std::uint64_t length = second & 0x7f;
    if (length >= 126) {
      const std::size_t wide = length == 126 ? 2 : 8;
      if (view.size() < head + wide) return wait_for_more();
      length = big_endian(view.substr(head, wide));
      head += wide;
    }
    const auto opcode = first & 0x0f;
    const bool last = (first & final_bit) != 0, control = opcode >= 8;
    if (control && (length > largest_control || !last)) broken_protocol("a control frame is too long or in parts");
    if (length > largest_ || fragments_.size() + length > largest_) broken_protocol("a message is too large");
    if (view.size() < head + length) return wait_for_more();
    std::string payload{view.substr(head, length)};
    start_ += head + length;
    switch (opcode) {
      case 0:
        if (!fragmented_) broken_protocol("a continuation of nothing");
        fragments_ += payload;
        if (!last) continue;
        return Message{*std::exchange(fragmented_, std::nullopt), std::exchange(fragments_, {})};
      case 1:
      case 2: {
        if (fragmented_) broken_protocol("a message inside another");
        const auto kind = opcode == 1 ? Kind::text : Kind::binary;
        if (last) return Message{kind, std::move(payload)};
        fragmented_ = kind;
        fragments_ = std::move(payload);
        continue;
      }
      case 8: return Message{Kind::close, std::move(payload)};
      case 9: return Message{Kind::ping, std::move(payload)};
      case 10: return Message{Kind::pong, std::move(payload)};
      default: broken_protocol("an opcode that is not defined");
    }
  }
}

std::string websocket_frame(WebSocketOpcode opcode, std::string_view payload, std::string_view mask) {
  std::string frame;
  frame.reserve(payload.size() + 14);
  frame += static_cast<char>(final_bit | static_cast<std::uint8_t>(opcode));
  if (payload.size() < 126) {
    frame += static_cast<char>(mask_bit | payload.size());
  } else if (payload.size() <= 0xffff) {
    frame += static_cast<char>(mask_bit | 126);
    append_big_endian(frame, payload.size(), 2);
  } else {
    frame += static_cast<char>(mask_bit | 127);
    append_big_endian(frame, payload.size(), 8);
  }
  frame += mask;
  const auto start = frame.size();
  frame += payload;
  for (std::size_t i = 0; i < payload.size(); ++i) frame[start + i] = static_cast<char>(frame[start + i] ^ mask[i % 4]);
  return frame;
}

std::string websocket_accept(std::string_view key) {
  const auto text = std::string{key} + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";  // RFC 6455, 1.3
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  if (::EVP_Digest(text.data(), text.size(), digest.data(), &size, ::EVP_sha1(), nullptr) != 1) {
    throw Failure{Exit::bug, "libcrypto has no SHA-1"};
  }
  return to_base64({reinterpret_cast<const char*>(digest.data()), size});
}

WebSocket::WebSocket(std::unique_ptr<Duplex> connection, std::string protocol)
    : connection_{std::move(connection)}, protocol_{std::move(protocol)} {}

std::optional<std::string> WebSocket::try_receive() {
  using Kind = WebSocketReader::Message::Kind;
  std::array<char, 32768> chunk;
  while (!ended_) {
    while (auto message = reader_.next()) {
      switch (message->kind) {
        case Kind::text:
        case Kind::binary: return std::move(message->payload);
        case Kind::ping: queue(WebSocketOpcode::pong, message->payload); break;
        case Kind::pong: break;
        case Kind::close:
          close_code_ = message->payload.size() >= 2 ? static_cast<int>(big_endian(std::string_view{message->payload}.substr(0, 2))) : 1000;
          if (message->payload.size() > 2) close_reason_ = message->payload.substr(2);
          send_close();
          ended_ = true;
          return std::nullopt;
      }
    }
    std::optional<std::size_t> count;
    try {
      count = connection_->try_read(chunk.data(), chunk.size());
    } catch (const HttpFailure&) {
      // A peer that we said goodbye to may just hang up.
      if (!closing_) throw;
      count = 0;
    }
    if (!count) return std::nullopt;
    if (*count == 0) {
      ended_ = true;
    } else {
      reader_.feed({chunk.data(), *count});
    }
  }
  return std::nullopt;
}

void WebSocket::queue(WebSocketOpcode opcode, std::string_view payload) {
  unsent_ += websocket_frame(opcode, payload, random_bytes(4));
  flush();
}

void WebSocket::send(std::string_view payload) { queue(WebSocketOpcode::binary, payload); }

void WebSocket::send_close() {
  if (std::exchange(closing_, true)) return;
  std::string code;
  append_big_endian(code, 1000, 2);
  try {
    queue(WebSocketOpcode::close, code);
  } catch (const HttpFailure&) {
    // The connection is gone: that was the purpose.
  }
}

bool WebSocket::flush() {
  while (sent_ < unsent_.size()) {
    const auto count = connection_->try_write(std::string_view{unsent_}.substr(sent_));
    if (count == 0) return false;
    sent_ += count;
  }
  unsent_.clear();
  sent_ = 0;
  return true;
}

}  // namespace codops::io
