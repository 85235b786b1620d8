#include <doctest/doctest.h>

#include <deque>

#include "lib/base/failure.hpp"
#include "lib/io/websocket.hpp"

using namespace codops;
using namespace codops::io;
using Kind = WebSocketReader::Message::Kind;
using namespace std::string_literals;

namespace {

// What a server sends: frames without a mask.
std::string server_frame(int opcode, const std::string& payload, bool last = true) {
  std::string frame(1, static_cast<char>((last ? 0x80 : 0) | opcode));
  if (payload.size() < 126) {
    frame += static_cast<char>(payload.size());
  } else if (payload.size() < 65536) {
    frame += static_cast<char>(126);
    frame += static_cast<char>(payload.size() >> 8);
    frame += static_cast<char>(payload.size());
  } else {
    frame += static_cast<char>(127);
    for (int shift = 56; shift >= 0; shift -= 8) frame += static_cast<char>(static_cast<std::uint64_t>(payload.size()) >> shift);
  }
  return frame + payload;
}

class ScriptedDuplex final : public Duplex {
 public:
  std::deque<std::string> incoming;
  std::string written;
  std::size_t takes{1'000'000};  // bytes a write
  bool ended{false};

  std::optional<std::size_t> try_read(char* into, std::size_t size) override {
    if (incoming.empty()) return ended ? std::optional<std::size_t>{0} : std::nullopt;
    const auto count = incoming.front().copy(into, size);
    incoming.front().erase(0, count);
    if (incoming.front().empty()) incoming.pop_front();
    return count;
  }
  std::size_t try_write(std::string_view bytes) override {
    const auto count = std::min(takes, bytes.size());
    written += bytes.substr(0, count);
    takes -= count;
    return count;
  }
  void end_writing() override {}
  int fd() const override { return -1; }
};

}  // namespace

TEST_CASE("websocket: the accept key of RFC 6455") { CHECK(websocket_accept("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="); }

TEST_CASE("websocket: messages arrive whole, however their bytes do") {
  const std::string medium(300, 'm'), large(70'000, 'l');
  const auto all = server_frame(2, "a") + server_frame(1, medium) + server_frame(2, large) + server_frame(2, "part ", false) +
                   server_frame(9, "ping") + server_frame(0, "of ", false) + server_frame(0, "one") + server_frame(2, "");
  for (const std::size_t step : {std::size_t{1}, std::size_t{7}, all.size()}) {
    WebSocketReader reader;
    std::vector<std::string> got;
    for (std::size_t at = 0; at < all.size(); at += step) {
      reader.feed(std::string_view{all}.substr(at, step));
      while (auto message = reader.next()) got.push_back((message->kind == Kind::ping ? "ping:" : "") + message->payload);
    }
    CHECK(got == std::vector<std::string>{"a", medium, large, "ping:ping", "part of one", ""});
  }
}

TEST_CASE("websocket: what a server must not send") {
  const auto refused = [](const std::string& bytes) {
    WebSocketReader reader{1000};
    reader.feed(bytes);
    CHECK_THROWS_AS(reader.next(), Failure);
  };
  refused("\xc2\x01x"s);                                                  // reserved bits
  refused("\x82\x81xxxxx"s);                                              // masked
  refused(server_frame(0, "x"));                                          // a continuation of nothing
  refused(server_frame(2, "x", false) + server_frame(2, "y"));            // a message inside another
  refused(server_frame(9, "x", false));                                   // a ping in parts
  refused(server_frame(8, std::string(126, 'x')));                        // a long close
  refused(server_frame(3, "x"));                                          // no such opcode
  refused(server_frame(2, std::string(1001, 'x')).substr(0, 4));          // too large, known from its head
  refused("\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff"s);
  refused(server_frame(2, std::string(600, 'x'), false) + server_frame(0, std::string(600, 'x')));
}

TEST_CASE("websocket: frames of ours are masked") {
  CHECK(websocket_frame(WebSocketOpcode::binary, "Hello", "\x37\xfa\x21\x3d") == "\x82\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"s);
  CHECK(websocket_frame(WebSocketOpcode::binary, std::string(126, 'x'), "\x01\x02\x03\x04"s).substr(0, 4) == "\x82\xfe\x00\x7e"s);
  CHECK(websocket_frame(WebSocketOpcode::binary, std::string(65536, 'x'), "\x01\x02\x03\x04"s).substr(0, 10) == "\x82\xff\x00\x00\x00\x00\x00\x01\x00\x00"s);
}

TEST_CASE("websocket: pings are answered, closes are returned, slow connections wait") {
  auto owned = std::make_unique<ScriptedDuplex>();
  auto& wire = *owned;
  WebSocket socket{std::move(owned), "v5"};
  wire.incoming = {server_frame(9, "hi") + server_frame(2, "one"), server_frame(8, "\x03\xe9"s + "going")};
  CHECK(socket.try_receive() == "one");
  CHECK(wire.written.size() == 2 + 4 + 2);
  CHECK(static_cast<unsigned char>(wire.written[0]) == 0x8a);
  wire.takes = 5;
  wire.written.clear();
  socket.send("hello");
  CHECK(wire.written.size() == 5);
  CHECK(!socket.flush());
  CHECK(socket.unsent() == 6);
  wire.takes = 1000;
  CHECK(socket.flush());
  CHECK(wire.written.size() == 11);
  CHECK(!socket.ended());
  CHECK(!socket.try_receive());
  CHECK(socket.ended());
  CHECK(socket.close_code() == 1001);
  CHECK(socket.close_reason() == "going");
}

TEST_CASE("websocket: a connection that is lost has no clean end") {
  auto owned = std::make_unique<ScriptedDuplex>();
  owned->incoming = {server_frame(2, "whole"), server_frame(2, "never whole").substr(0, 6)};
  owned->ended = true;
  WebSocket socket{std::move(owned), ""};
  CHECK(socket.try_receive() == "whole");
  CHECK(!socket.try_receive());
  CHECK(socket.ended());
  CHECK(socket.close_code() == 1006);
}
