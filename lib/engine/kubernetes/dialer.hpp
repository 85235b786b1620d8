#pragma once
// target::Dialer: a port of a pod behind a private Unix socket, one port forward for each connection.
#include <cstdint>
#include <memory>
#include <string>

#include "lib/engine/kubernetes/api.hpp"
#include "lib/target/containers.hpp"

namespace codops::engine::kubernetes {

class PodDialer final : public target::Dialer {
 public:
  PodDialer(Api& api, std::string namespace_);
  // `container` as in containers.hpp. Tries the port once; Failure{unavailable} when nobody listens there.
  // A client that ends its side and goes on reading is served until the peer ends or is silent for 30 s.
  std::unique_ptr<target::Endpoint> dial(const std::string& container, std::uint16_t port, const Limits& limits) override;

 private:
  Api& api_;
  std::string namespace_;
};

}  // namespace codops::engine::kubernetes
