#pragma once
// target::Dialer on a Docker host. The container's own address where it answers and can only be that container's (the
// engine runs on this machine); else a private Unix socket, each connection to which is an exec in the container that
// carries the bytes: socat, nc, bash or perl, whichever the image has.
#include <string>

#include "lib/engine/docker/api.hpp"
#include "lib/target/containers.hpp"

namespace codops::engine::docker {

class ContainerDialer final : public target::Dialer {
 public:
  // `api` must outlive the endpoints.
  explicit ContainerDialer(Api& api) : api_{api} {}
  std::unique_ptr<target::Endpoint> dial(const std::string& container, std::uint16_t port, const Limits& limits) override;
  // The second way only.
  std::unique_ptr<target::Endpoint> dial_by_exec(const ContainerDetails& container, std::uint16_t port,
                                                 const Limits& limits);

 private:
  Api& api_;
};

}  // namespace codops::engine::docker
