// Readiness of a container that has no Docker health check: a TCP connect or an HTTP request to its own address.
#include <nlohmann/json.hpp>

#include "lib/engine/docker/api.hpp"
#include "lib/health/run.hpp"
#include "lib/io/unix_listener.hpp"
#include "lib/ops/readiness.hpp"

namespace codops::ops {

bool probe_answers(RunContext& context, const engine::docker::ContainerDetails& details, const Awaited& awaited,
                   const nlohmann::json& ready, const Limits& limits);

namespace {

// On a network of the compose file: it joins the traffic once it is ready.
std::string own_address(const RunContext& context, const engine::docker::ContainerDetails& details) {
  std::string address;
  for (const auto& [network, attachment] : details.networks) {
    if (network != context.traffic.name && !attachment.address.empty()) address = attachment.address;
  }
  return address;
}

}  // namespace

bool refuses_connections(RunContext& context, const engine::docker::ContainerDetails& details, int port, const Limits& limits);

bool refuses_connections(RunContext& context, const engine::docker::ContainerDetails& details, int port, const Limits& limits) {
  const auto address = own_address(context, details);
  return !address.empty() && io::ask_tcp(address, static_cast<std::uint16_t>(port), limits.within(Milliseconds{2000})) == io::TcpAnswer::refused;
}

bool probe_answers(RunContext& context, const engine::docker::ContainerDetails& details, const Awaited& awaited,
                   const nlohmann::json& ready, const Limits& limits) {
  const int port = ready.value("port", awaited.service->port);
  if (port == 0) return true;  // it runs, and nothing else is known to ask
  const auto address = own_address(context, details);
  if (address.empty()) return false;
  health::Check check;
  check.name = awaited.member.container;
  check.timeout = Milliseconds{2000};
  if (const std::string path = ready.value("path", ""); !path.empty()) {
    health::HttpCheck http;
    http.request.url = "http://" + address + ":" + std::to_string(port) + path;
    http.expect_status = *health::StatusCodes::parse(std::to_string(ready.value("status", 200)));
    check.what = std::move(http);
  } else {
    health::TcpCheck tcp;
    tcp.target.host = address;
    tcp.target.port = static_cast<std::uint16_t>(port);
    check.what = std::move(tcp);
  }
  return health::run({check}, {}, limits.within(check.timeout)).healthy();
}

}  // namespace codops::ops
