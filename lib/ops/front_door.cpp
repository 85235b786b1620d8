#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/engine/docker/api.hpp"
#include "lib/ops/transaction.hpp"

namespace codops::ops {
namespace {

using Json = nlohmann::json;

struct Published {
  int container{};
  std::string host_ip;
  std::string host_port;
};

std::vector<Published> published_ports(const Desired& desired, const std::string& proxy) {
  std::vector<Published> ports;
  const auto spec = desired.specs.find(proxy);
  if (spec == desired.specs.end()) return ports;
  const auto body = Json::parse(spec->second.reveal());
  if (!body.contains("HostConfig") || !body.at("HostConfig").contains("PortBindings")) return ports;
  for (const auto& [key, bindings] : body.at("HostConfig").at("PortBindings").items()) {
    if (key.ends_with("/udp")) continue;
    for (const auto& binding : bindings) {
      const std::string port = binding.value("HostPort", "");
      if (port.empty() || port.find('-') != std::string::npos) continue;
      ports.push_back({std::atoi(key.c_str()), binding.value("HostIp", ""), port});
    }
  }
  std::sort(ports.begin(), ports.end(), [](const auto& a, const auto& b) { return a.container < b.container; });
  return ports;
}

bool speaks_tls(int port) { return port == 443 || port == 8443; }

// "tcp://10.0.0.5:2376" → "10.0.0.5": published ports answer where the engine is.
std::string engine_host(const std::string& shown) {
  auto start = shown.find("://");
  start = start == std::string::npos ? 0 : start + 3;
  auto host = shown.substr(start);
  if (const auto at = host.find('@'); at != std::string::npos) host.erase(0, at + 1);
  host.erase(std::min(host.find_first_of("/:"), host.size()));
  return host;
}

std::string first_readiness_path(const settings::Environment& environment) {
  for (const auto& [service, readiness] : environment.readiness) {
    if (!readiness.path.empty()) return readiness.path;
  }
  return "/";
}

}  // namespace

std::optional<FrontDoorTarget> front_door_of(Host& host, const Desired& desired) {
  const auto& environment = host.environment();
  if (environment.proxy.service.empty()) return std::nullopt;
  FrontDoorTarget door;
  door.ca = environment.front_door.ca;
  if (environment.front_door.status) door.expect = std::to_string(*environment.front_door.status);
  const auto path = environment.front_door.path.empty() ? first_readiness_path(environment) : environment.front_door.path;
  if (!environment.front_door.url.empty()) {
    door.url = environment.front_door.url;
    const auto authority = door.url.find("://");
    const bool has_path = authority != std::string::npos && door.url.find('/', authority + 3) != std::string::npos;
    if (!has_path) door.url += path;
    return door;
  }
  door.chosen = !environment.front_door.status;
  const auto ports = published_ports(desired, environment.proxy.service);
  const auto plain = std::find_if(ports.begin(), ports.end(), [](const auto& port) { return !speaks_tls(port.container); });
  if (ports.empty()) return std::nullopt;
  const auto& port = plain == ports.end() ? ports.front() : *plain;
  const auto url_of = [&](const Published& published) {
    auto address = published.host_ip;
    if (host.remote()) address = engine_host(host.api().client().endpoint().shown);
    else if (address.empty() || address == "0.0.0.0" || address == "::") address = "127.0.0.1";
    return fmt::format("{}://{}:{}{}", speaks_tls(published.container) ? "https" : "http", address.find(':') == std::string::npos ? address : "[" + address + "]", published.host_port, path);
  };
  const bool tls = speaks_tls(port.container);
  door.url = url_of(port);
  const auto secure = std::find_if(ports.begin(), ports.end(), [](const auto& published) { return speaks_tls(published.container); });
  if (!tls && secure != ports.end()) door.secure_url = url_of(*secure);
  // By address and without a name from the user there is nothing that a certificate could be checked against.
  door.insecure = tls && door.ca.empty();
  return door;
}

}  // namespace codops::ops
