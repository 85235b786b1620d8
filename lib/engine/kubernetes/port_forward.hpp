#pragma once
// A connection to a TCP port inside a pod through the API server (WebSocket, v4.channel.k8s.io: channel 0 data, channel 1
// error; the first message of each is the port). Our side can't be ended alone: end_writing() does nothing, and the
// peer sees the end when the Duplex goes.
#include <cstdint>
#include <memory>
#include <string>

#include "lib/engine/kubernetes/api.hpp"
#include "lib/io/duplex.hpp"

namespace codops::engine::kubernetes {

// Returns once the forward is open. Nobody listening there shows as Failure{unavailable} from the first read.
std::unique_ptr<io::Duplex> open_port(Api& api, const std::string& namespace_, const std::string& pod, std::uint16_t port,
                                      const Limits& limits);

}  // namespace codops::engine::kubernetes
