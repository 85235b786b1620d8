#include "lib/engine/kubernetes/port_forward.hpp"

#include <fmt/format.h>

#include <array>

namespace codops::engine::kubernetes {
namespace {

constexpr char data_channel = 0, error_channel = 1;

class PortConnection final : public io::Duplex {
 public:
  PortConnection(std::unique_ptr<io::WebSocket> socket, std::string what) : socket_{std::move(socket)}, what_{std::move(what)} {}
  ~PortConnection() override {
    if (!socket_->ended()) socket_->send_close();
  }

  std::optional<std::size_t> try_read(char* into, std::size_t size) override {
    while (taken_ == pending_.size()) {
      auto message = socket_->try_receive();
      if (!message) {
        if (!socket_->ended()) return std::nullopt;
        return 0;
      }
      if (message->size() < 1) continue;
      const char channel = message->front();
      if (channel != data_channel && channel != error_channel) continue;
      auto& seen = port_seen_[static_cast<std::size_t>(channel)];
      // The first message of a channel is the port.
      if (!std::exchange(seen, true)) continue;
      if (channel == error_channel) {
        if (message->size() > 1) throw Failure{Exit::unavailable, fmt::format("{}: {}", what_, message->substr(1))};
        continue;
      }
      pending_ = *std::move(message);
      taken_ = 1;
    }
    const auto count = std::string_view{pending_}.substr(taken_).copy(into, size);
    taken_ += count;
    return count;
  }

  std::size_t try_write(std::string_view bytes) override {
    // One message on its way at a time: the peer's pace is ours.
    if (!socket_->flush()) return 0;
    constexpr std::size_t largest = 32 * 1024;
    const auto part = bytes.substr(0, largest);
    std::string message(1, data_channel);
    message += part;
    socket_->send(message);
    return part.size();
  }

  void end_writing() override {}
  int fd() const override { return socket_->fd(); }

 private:
  std::unique_ptr<io::WebSocket> socket_;
  std::string what_, pending_;
  std::size_t taken_{0};
  std::array<bool, 2> port_seen_{};
};

}  // namespace

std::unique_ptr<io::Duplex> open_port(Api& api, const std::string& namespace_, const std::string& pod, std::uint16_t port,
                                      const Limits& limits) {
  Call call{.path = fmt::format("/api/v1/namespaces/{}/pods/{}/portforward", io::percent_encode(namespace_), io::percent_encode(pod)),
            .query = {{"ports", std::to_string(port)}},
            .what = fmt::format("reach port {} of Pod {}/{}", port, namespace_, pod)};
  try {
    auto socket = api.client().websocket(call, {"v4.channel.k8s.io"}, limits);
    return std::make_unique<PortConnection>(std::move(socket), call.what);
  } catch (ApiError& error) {
    if (error.status() == 403) error.with_hint("it needs \"create\" and \"get\" on pods/portforward");
    throw;
  }
}

}  // namespace codops::engine::kubernetes
