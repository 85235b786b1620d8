#include "lib/ops/preflight.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>

#include "lib/base/parallel.hpp"
#include "lib/base/units.hpp"
#include "lib/engine/docker/api.hpp"
#include "lib/io/fd.hpp"
#include "lib/ops/sole_writer.hpp"

namespace codops::ops {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t least_free_disk = 256U << 20U;
constexpr std::uint64_t low_free_disk = 2048ULL << 20U;

// Whether something listens on the port already; only asked where the engine is this machine.
bool is_taken(const std::string& ip, int port) {
  const io::Fd socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (!socket) return false;
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  if (ip.empty() || ::inet_pton(AF_INET, ip.c_str(), &address.sin_addr) != 1) address.sin_addr.s_addr = INADDR_ANY;
  return ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 && errno == EADDRINUSE;
}

// Who of the project holds a port of this host.
std::map<std::string, const ObservedContainer*> ports_of_running(const Observed& observed) {
  std::map<std::string, const ObservedContainer*> ports;
  for (const auto& container : observed.containers) {
    if (!container.running()) continue;
    for (const auto& port : container.ports) {
      const auto arrow = port.find("->");
      const auto colon = port.rfind(':', arrow);
      ports.emplace(port.substr(colon + 1, arrow - colon - 1), &container);
    }
  }
  return ports;
}

std::vector<const release::ServiceRecord*> services_to_make(const Planned& planned) {
  std::vector<const release::ServiceRecord*> services;
  for (const auto& step : planned.plan.steps) {
    if (step.kind != "start" && step.kind != "front") continue;
    const auto args = Json::parse(step.args);
    for (const auto& entry : args.at("services")) {
      if (!entry.at("make").empty()) services.push_back(planned.next.service(entry.at("service")));
    }
  }
  return services;
}

void check_names(Host& host, const Observed& observed, const Planned& planned, const Limits& limits) {
  std::vector<std::string> names;
  for (const auto* service : services_to_make(planned)) {
    for (const auto& member : service->members) {
      if (observed.container(member.container) == nullptr) names.push_back(member.container);
    }
  }
  in_parallel(names.size(), calls_at_once, [&](std::size_t index) {
    const auto existing = host.api().find_container(names[index], limits);
    if (!existing) return;
    const auto project = existing->labels.find("com.docker.compose.project");
    if (project != existing->labels.end() && project->second == host.project()) return;
    throw Failure{Exit::failed, fmt::format("the name \"{}\" is taken by a container of another project", names[index]),
                  fmt::format("rename it: docker rename {} OTHER", names[index])};
  });
}

void check_ports(Host& host, const Desired& desired, const Observed& observed, const Planned& planned) {
  if (host.remote()) return;
  const auto ours = ports_of_running(observed);
  for (const auto* service : services_to_make(planned)) {
    const auto spec = desired.specs.find(service->name);
    if (spec == desired.specs.end()) continue;
    const auto body = Json::parse(spec->second.reveal());
    const auto& settings = body.at("HostConfig");
    if (!settings.contains("PortBindings")) continue;
    for (const auto& [key, bindings] : settings.at("PortBindings").items()) {
      if (key.ends_with("/udp")) continue;
      for (const auto& binding : bindings) {
        const std::string port = binding.value("HostPort", "");
        if (port.empty() || port.find('-') != std::string::npos) continue;
        const auto holder = ours.find(port);
        if (holder != ours.end() && holder->second->service == service->name) continue;
        if (!is_taken(binding.value("HostIp", ""), std::atoi(port.c_str()))) continue;
        if (holder != ours.end()) {
          throw Failure{Exit::failed, fmt::format("port {}, which service \"{}\" publishes, is held by {} of this project, which is stopped only when its successors serve", port, service->name, holder->second->name),
                        fmt::format("nothing was changed; docker stop {} frees it (nobody is served from then on until the deploy has ended), then the same command again", holder->second->name)};
        }
        throw Failure{Exit::failed, fmt::format("port {}, which service \"{}\" publishes, is taken by another process", port, service->name),
                      fmt::format("ss -ltnp 'sport = :{}' names it", port)};
      }
    }
  }
}

// The same is asked once more when it starts (members.cpp); here nothing was changed yet.
void check_writers(Host& host, const Desired& desired, const Observed& observed, const Planned& planned, const Limits& limits) {
  for (const auto& step : planned.plan.steps) {
    if (step.name != "data") continue;
    const auto args = Json::parse(step.args);
    for (const auto& entry : args.at("services")) {
      const auto* service = planned.next.service(entry.at("service"));
      if (entry.at("make").empty() && entry.at("start").empty()) continue;
      DataServer server{host.project(), service->name, {}, entry.at("replace")};
      for (const auto& member : service->members) server.passed_over.insert(member.container);
      if (const auto spec = desired.specs.find(service->name); !entry.at("make").empty() && spec != desired.specs.end()) {
        server.mounts = mounts_of(Json::parse(spec->second.reveal()));
      }
      for (const auto& name : entry.at("start")) {
        if (const auto* container = observed.container(name)) server.mounts.insert(server.mounts.end(), container->mounts.begin(), container->mounts.end());
      }
      try {
        require_sole_writer(host.api(), server, planned.next, limits);
      } catch (const Failure& failure) {
        if (failure.code() != Exit::failed) throw;
        throw Failure{failure.code(), failure.message(), "nothing was changed; " + failure.hint()};
      }
    }
  }
}

void check_disk(Host& host, const std::string& root, Planned& planned) {
  struct statvfs facts {};
  if (host.remote() || ::statvfs(root.c_str(), &facts) != 0) return;
  const auto free = static_cast<std::uint64_t>(facts.f_bavail) * facts.f_frsize;
  if (free < least_free_disk) {
    throw Failure{Exit::failed, fmt::format("{} has {} free, too little for a deploy", root, format_bytes(free)), "docker system df shows what can go"};
  }
  if (free < low_free_disk) planned.plan.warnings.push_back(fmt::format("{} has only {} free", root, format_bytes(free)));
}

std::uint64_t available_memory() {
  std::ifstream file{"/proc/meminfo"};
  std::string name;
  std::uint64_t kilobytes{};
  std::string unit;
  while (file >> name >> kilobytes >> unit) {
    if (name == "MemAvailable:") return kilobytes * 1024;
  }
  return 0;
}

// What the new containers are promised (reservations) must be there; what they may grow to (limits) is worth a warning.
void check_memory(Host& host, const Desired& desired, std::uint64_t total, Planned& planned) {
  std::uint64_t reserved = 0;
  std::uint64_t limited = 0;
  for (const auto* service : services_to_make(planned)) {
    const auto spec = desired.specs.find(service->name);
    if (spec == desired.specs.end()) continue;
    const auto body = Json::parse(spec->second.reveal());
    const auto& settings = body.at("HostConfig");
    reserved += settings.value("MemoryReservation", std::uint64_t{0}) * service->members.size();
    limited += settings.value("Memory", std::uint64_t{0}) * service->members.size();
  }
  const auto there = host.remote() ? total : available_memory();
  if (there == 0) return;
  if (reserved > there) {
    throw Failure{Exit::failed, fmt::format("the new set is promised {} of memory beside the old one, and {} are there", format_bytes(reserved), format_bytes(there)),
                  "fewer replicas, smaller reservations, or a larger host"};
  }
  if (limited > there) {
    planned.plan.warnings.push_back(fmt::format("the new set may use {} of memory beside the old one, and {} are there", format_bytes(limited), format_bytes(there)));
  }
}

}  // namespace

void preflight(Host& host, const Desired& desired, const Observed& observed, Planned& planned, const Limits& limits) {
  if (planned.plan.empty()) return;
  const auto& info = host.engine_info(limits);
  check_names(host, observed, planned, limits);
  check_ports(host, desired, observed, planned);
  check_writers(host, desired, observed, planned, limits);
  check_disk(host, info.root_dir, planned);
  check_memory(host, desired, info.memory_bytes, planned);
}

}  // namespace codops::ops
