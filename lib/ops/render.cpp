#include "lib/ops/render.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "lib/base/failure.hpp"
#include "lib/engine/docker/answers.hpp"
#include "lib/engine/docker/create_body.hpp"
#include "lib/io/crypto.hpp"
#include "lib/ops/definitions.hpp"
#include "lib/ops/mounted_files.hpp"
#include "lib/ops/proxy_files.hpp"
#include "lib/ops/render_notes.hpp"
#include "lib/ops/render_refusals.hpp"
#include "lib/ops/service_networks.hpp"
#include "lib/ops/service_role.hpp"
#include "lib/ops/travelling_files.hpp"

namespace codops::ops {
namespace {

using Json = nlohmann::json;
using compose::Project;
using compose::Service;
using release::Role;
using release::ServiceRecord;

int port_of(const Service& service, const settings::Environment& environment, const ImageFacts& image) {
  if (const auto set = environment.proxy.services.find(service.name); set != environment.proxy.services.end() && set->second.port) {
    return *set->second.port;
  }
  std::set<int> ports;
  for (const auto& text : service.expose) ports.insert(std::atoi(text.c_str()));
  if (ports.empty()) ports.insert(image.exposed.begin(), image.exposed.end());
  if (ports.size() > 1) {
    throw Failure{Exit::config, fmt::format("service \"{}\" exposes {} ports, and the proxy needs to know which one is meant", service.name, ports.size()),
                  fmt::format("proxy.services.{}.port in codops.yaml", service.name)};
  }
  return ports.empty() ? 0 : *ports.begin();
}

std::string ready_of(const settings::Environment& environment, const std::string& name) {
  auto json = Json::object();
  if (const auto found = environment.readiness.find(name); found != environment.readiness.end()) {
    if (!found->second.path.empty()) json["path"] = found->second.path;
    if (found->second.port) json["port"] = *found->second.port;
    json["status"] = found->second.status;
  }
  return json.dump();
}

int stop_grace_of(const Service& service, const settings::Environment& environment, int otherwise) {
  const auto whole = [](auto time) { return static_cast<int>(std::chrono::ceil<std::chrono::seconds>(time).count()); };
  if (environment.timeouts.stop) return whole(*environment.timeouts.stop);
  return service.stop_grace_period ? whole(*service.stop_grace_period) : otherwise;
}

// Everything that decides whether a container must be made anew. The proxy's files are not in it: they are reloaded.
std::string hash_of(const ServiceRecord& record, const Json& body) {
  Json all{{"body", body}, {"networks", Json::parse(record.networks)}, {"aliases", record.aliases}, {"ready", Json::parse(record.ready)}};
  if (record.role != Role::proxy) {
    for (const auto& file : record.files) {
      all["files"].push_back({file.target, file.sha256, file.mode, file.uid, file.gid});
      if (file.link) all["files"].back().push_back("link");
    }
  }
  return io::sha256_hex(all.dump());
}

class Renderer {
 public:
  Renderer(const Project& project, const settings::Environment& environment, const std::map<std::string, ImageFacts>& images,
           const RenderOptions& options)
      : project_{project}, environment_{environment}, images_{images}, options_{options} {}

  Desired run() {
    desired_.project = project_.name;
    desired_.environment = environment_.name;
    desired_.version = options_.version;
    desired_.proxy.service = environment_.proxy.service;
    desired_.proxy.upstreams = environment_.proxy.upstreams;
    if (!desired_.proxy.service.empty() && project_.services.count(desired_.proxy.service) == 0) {
      throw Failure{Exit::config, fmt::format("proxy.service is \"{}\", and the compose file has no such service", desired_.proxy.service)};
    }
    desired_.warnings = unknown_services(project_, environment_);
    for (const auto& name : in_order(project_, environment_.proxy.service)) add_service(project_.services.at(name));
    for (auto& record : desired_.services) {
      record.led = is_led(record, desired_.services, desired_.blobs);
      note_readiness(project_.services.at(record.name), record, facts_of(record.name).has_healthcheck, desired_);
    }
    refuse_ports(desired_.services, desired_.blobs);
    desired_.networks = wanted_networks(project_);
    auto volumes = wanted_volumes(project_);
    desired_.volumes.insert(desired_.volumes.end(), std::make_move_iterator(volumes.begin()), std::make_move_iterator(volumes.end()));
    desired_.definitions = definitions_of(desired_.networks, desired_.volumes);
    desired_.warnings.insert(desired_.warnings.end(), project_.warnings.begin(), project_.warnings.end());
    for (const auto& name : project_.used) {
      if (const auto found = project_.environment.find(name); found != project_.environment.end()) desired_.variables.insert(*found);
    }
    for (const auto& name : project_.overridden) {
      desired_.notes.push_back(fmt::format("{} is set in the shell too; the environment's file wins", name));
    }
    warn_of_direct_ports(project_, desired_);
    warn_of_lost_walls(project_, desired_);
    note_unseen_images(desired_);
    return std::move(desired_);
  }

 private:
  ImageFacts facts_of(const std::string& service) const {
    const auto found = images_.find(service);
    return found == images_.end() ? ImageFacts{} : found->second;
  }

  void add_service(const Service& service) {
    ServiceRecord record;
    record.name = service.name;
    record.image = engine::docker::image_of(project_, service);
    const auto image = facts_of(service.name);
    record.image_id = image.id;
    record.digest = image.digest;
    record.role = role_of(project_, service, environment_, record.image);
    refuse_what_is_shared(service);
    const auto travelling = travelling_files(project_, service, environment_.directory, options_.remote, record.role == Role::proxy, desired_.blobs);
    record.files = travelling.files;
    desired_.notes.insert(desired_.notes.end(), travelling.notes.begin(), travelling.notes.end());
    desired_.warnings.insert(desired_.warnings.end(), travelling.warnings.begin(), travelling.warnings.end());
    auto body = engine::docker::create_body(project_, service, {travelling.replaced_mounts});
    if (record.role == Role::proxy) join_upstreams(body, record, environment_, desired_);
    const auto asked = asked_networks(project_, service, record.role, environment_);
    record.networks = network_endpoints(project_, service, record.role, asked);
    if (record.role == Role::stateless) record.aliases = aliases_of(service);
    for (const auto& [needed, dependency] : service.depends_on) record.depends_on.push_back(needed);
    record.ready = ready_of(environment_, service.name);
    if (!environment_.proxy.service.empty() && record.role == Role::stateless) {
      record.port = port_of(service, environment_, image);
      const auto upstream = environment_.proxy.services.find(service.name);
      record.sticky = upstream != environment_.proxy.services.end() && upstream->second.sticky;
    } else if (record.role == Role::stateless && image.exposed.size() == 1) {
      record.port = image.exposed.front();
    }
    record.configured_replicas = static_cast<int>(service.replicas());
    record.stop_grace_seconds = stop_grace_of(service, environment_, record.stop_grace_seconds);
    record.restart = engine::docker::restart_policy_of(service);
    record.limits = engine::docker::resource_limits(body.at("HostConfig"));
    record.hash = hash_of(record, body);
    add_folders(body, travelling.folders, project_.name);
    note_names(project_, service, asked, desired_);
    desired_.specs.emplace(service.name, Secret{body.dump()});
    desired_.services.push_back(std::move(record));
  }

  const Project& project_;
  const settings::Environment& environment_;
  const std::map<std::string, ImageFacts>& images_;
  const RenderOptions& options_;
  Desired desired_;
};

}  // namespace

Desired render(const Project& project, const settings::Environment& environment, const std::map<std::string, ImageFacts>& images,
               const RenderOptions& options) {
  return Renderer{project, environment, images, options}.run();
}

}  // namespace codops::ops
