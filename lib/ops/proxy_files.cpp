#include "lib/ops/proxy_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include "lib/base/failure.hpp"
#include "lib/ops/upstreams.hpp"

namespace codops::ops {

using Json = nlohmann::json;
using release::Role;
using release::ServiceRecord;

namespace {

// `found` is asked with each line that sends requests to that name, and where the name ends in it.
template <typename Found>
bool any_passing_line(std::string_view configuration, std::string_view name, const Found& found) {
  const auto is_part = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == '.'; };
  for (std::size_t begin = 0; begin < configuration.size();) {
    const auto end = std::min(configuration.find('\n', begin), configuration.size());
    const auto line = configuration.substr(begin, end - begin);
    begin = end + 1;
    const auto word = line.find_first_not_of(" \t{");
    if (word == std::string_view::npos || line[word] == '#' || (line.find("_pass") == std::string_view::npos && line.find("set ") == std::string_view::npos)) continue;
    for (auto at = line.find(name); at != std::string_view::npos; at = line.find(name, at + 1)) {
      const bool starts = at > 0 && !is_part(line[at - 1]);
      const bool ends = at + name.size() == line.size() || !is_part(line[at + name.size()]);
      if (starts && ends && found(line, at + name.size())) return true;
    }
  }
  return false;
}

}  // namespace

void join_upstreams(Json& body, const ServiceRecord& proxy, const settings::Environment& environment, Desired& desired) {
  const auto& folder = environment.proxy.upstreams;
  // It outlives the container and a recreation.
  const auto volume = desired.project + upstreams_volume_suffix;
  body["HostConfig"]["Mounts"].push_back({{"Type", "volume"}, {"Source", volume}, {"Target", folder}, {"ReadOnly", false}});
  desired.volumes.push_back({volume, Json{{"Driver", "local"}, {"Labels", {{"com.docker.compose.project", desired.project}, {"com.docker.compose.volume", "codops-upstreams"}}}}.dump(), false});
  // With a configuration that is baked into the image nothing is known: a second directive would be an error of nginx.
  if (proxy.files.empty()) return;
  const auto any_file = [&](const auto& says) {
    return std::any_of(proxy.files.begin(), proxy.files.end(), [&](const auto& file) { return says(desired.blobs.at(file.sha256)); });
  };
  desired.proxy.set_connect_timeout = !any_file([](const std::string& text) { return sets_directive(text, "proxy_connect_timeout"); });
  if (!any_file([](const std::string& text) { return sets_directive(text, "worker_shutdown_timeout"); })) {
    desired.warnings.push_back("the proxy's configuration has no worker_shutdown_timeout: long connections keep old workers alive after a switch; "
                               "add \"worker_shutdown_timeout 30s;\" to its main context");
  }
  if (!any_file([&](const std::string& text) { return text.find(folder) != std::string::npos; })) {
    throw Failure{Exit::config, fmt::format("no file of the proxy \"{}\" includes \"{}\"", proxy.name, folder),
                  fmt::format("add \"include {}/*.conf;\" to its http {{}} block", folder)};
  }
}

std::string port_passed_to(std::string_view configuration, std::string_view name) {
  std::string port;
  any_passing_line(configuration, name, [&](std::string_view line, std::size_t end) {
    if (line.find("_pass") == std::string_view::npos || end >= line.size() || line[end] != ':') return false;
    const auto digits = line.substr(end + 1, std::min(line.find_first_not_of("0123456789", end + 1), line.size()) - end - 1);
    port = digits;
    return !digits.empty();
  });
  return port;
}

bool passes_to(std::string_view configuration, std::string_view name) {
  return any_passing_line(configuration, name, [](std::string_view, std::size_t) { return true; });
}

void refuse_ports(const std::vector<ServiceRecord>& services, const std::map<std::string, std::string>& blobs) {
  const auto proxy = std::find_if(services.begin(), services.end(), [](const auto& other) { return other.role == Role::proxy; });
  if (proxy == services.end()) return;
  for (const auto& service : services) {
    if (service.role != Role::stateless || service.port == 0) continue;
    for (const auto& file : proxy->files) {
      const auto port = file.link ? std::string{} : port_passed_to(blobs.at(file.sha256), service.name);
      if (port.empty()) continue;
      throw Failure{Exit::config, fmt::format("{} of the proxy \"{}\" passes requests to {}:{}, and nginx takes no port with the name of an upstream, which codops writes for it", file.target, proxy->name, service.name, port),
                    fmt::format("nothing was changed; write it without the port, as in proxy_pass http://{0}; proxy.services.{0}.port in codops.yaml is the upstream's, now {1}", service.name, service.port)};
    }
  }
}

bool is_led(const ServiceRecord& record, const std::vector<ServiceRecord>& services, const std::map<std::string, std::string>& blobs) {
  if (record.role != Role::stateless || record.port == 0) return false;
  const auto proxy = std::find_if(services.begin(), services.end(), [](const auto& other) { return other.role == Role::proxy; });
  if (proxy == services.end()) return false;
  return std::any_of(proxy->files.begin(), proxy->files.end(), [&](const auto& file) { return passes_to(blobs.at(file.sha256), record.name); });
}

}  // namespace codops::ops
