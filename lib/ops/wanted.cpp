#include "lib/ops/wanted.hpp"

#include <fmt/format.h>

#include "lib/base/spellings.hpp"
#include "lib/engine/docker/create_body.hpp"
#include "lib/ops/build.hpp"
#include "lib/ops/compose_project.hpp"
#include "lib/ops/deploy_plan.hpp"
#include "lib/ops/others.hpp"
#include "lib/ops/render.hpp"
#include "lib/ops/version_name.hpp"

namespace codops::ops {
namespace {

using release::Release;

// The images that a version of the compose file asks for; equal for two versions: the version reaches nothing.
std::map<std::string, std::string> images_for(const settings::Environment& environment, const std::string& version,
                                              const std::map<std::string, std::string>& shell) {
  std::map<std::string, std::string> images;
  const auto project = load_compose(environment, version, shell);
  for (const auto& [name, service] : project.services) images[name] = engine::docker::image_of(project, service);
  return images;
}

void require_version_matters(Host& host, const compose::Project& project) {
  const auto other = images_for(host.environment(), "codops-probe", host.shell());
  for (const auto& [name, service] : project.services) {
    const auto found = other.find(name);
    if (found == other.end() || found->second != engine::docker::image_of(project, service)) return;
  }
  throw Failure{Exit::config, "no image of the compose file changes with the version",
                fmt::format("write image: NAME:${{{}}} in the compose file, or images: {{SERVICE: \"NAME:{{version}}\"}} in codops.yaml",
                            host.environment().version_variable)};
}

// Scale and restart keep what the release that serves was made of, whatever the checkout says by now.
Desired as_deployed(Host& host, const Observed& observed, const Release& current, const Limits& limits) {
  Desired desired;
  desired.project = host.project();
  desired.environment = host.environment().name;
  desired.version = current.version;
  desired.services = current.services;
  // What others started in its place is taken over, or made again, by the definition on record.
  const auto* recorded = observed.snapshot.current();
  for (auto& service : desired.services) {
    const auto* known = is_of_others(service) && recorded != nullptr ? recorded->service(service.name) : nullptr;
    if (known != nullptr) service = *known;
  }
  desired.specs = host.store().load_specs(current, limits);
  desired.networks = networks_of(current);
  desired.definitions = current.definitions;
  desired.proxy.service = host.environment().proxy.service;
  desired.proxy.upstreams = host.environment().proxy.upstreams;
  desired.proxy.set_connect_timeout = current.upstreams.find("proxy_connect_timeout") != std::string::npos;
  return desired;
}

void require_services(const Desired& desired, const std::vector<std::string>& names) {
  for (const auto& name : names) {
    const bool known = std::any_of(desired.services.begin(), desired.services.end(), [&](const auto& service) { return service.name == name; });
    if (known) continue;
    std::vector<std::string> all;
    for (const auto& service : desired.services) all.push_back(service.name);
    const auto near = nearest(name, all);
    throw Failure{Exit::usage, fmt::format("there is no service \"{}\"", name),
                  near.empty() ? fmt::format("there are: {}", fmt::join(all, ", ")) : fmt::format("did you mean \"{}\"?", near)};
  }
}

// `deploy ENV backend=v1.2.0`: that service from the compose file, everything else as it serves.
Desired one_service_moved(Host& host, const DeployRequest& request, const Observed& observed, const Release& current, bool may_pull, const Limits& limits) {
  auto desired = as_deployed(host, observed, current, limits);
  for (const auto& [name, version] : request.services) {
    require_services(desired, {name});
    require_version(version);
    const auto project = load_compose(host.environment(), version, host.shell());
    if (const auto service = project.services.find(name); service != project.services.end() && !request.force) {
      const auto image = engine::docker::image_of(project, service->second);
      if (const auto other = images_for(host.environment(), "codops-probe", host.shell()); other.contains(name) && other.at(name) == image) {
        throw Failure{Exit::config, fmt::format("the image of \"{}\" does not change with the version: it is {}", name, image),
                      fmt::format("write image: NAME:${{{0}}} in the compose file, or images: {{{1}: \"NAME:{{version}}\"}} in codops.yaml", host.environment().version_variable, name)};
      }
    }
    const auto images = find_images(host, project, {name}, limits);
    if (may_pull) pull_images(host, images, limits);
    auto rendered = render(project, host.environment(), facts_of(host, images, limits), {version, host.remote()});
    for (auto& service : desired.services) {
      if (service.name != name) continue;
      for (auto& fresh : rendered.services) {
        if (fresh.name == name) service = std::move(fresh);
      }
    }
    desired.specs.insert_or_assign(name, rendered.specs.at(name));
    desired.blobs.merge(rendered.blobs);
    desired.version = with_service(desired.version, name, version);
  }
  return desired;
}

constexpr std::chrono::seconds look_is_fresh{10};

}  // namespace

bool needs_pull(const Version& version) {
  return std::any_of(version.images.begin(), version.images.end(), [](const ImageState& image) { return image.must_pull; });
}

Version find_version(Host& host, const DeployRequest& request, const Limits& limits) {
  Version version{load_compose(host.environment(), request.version, host.shell()), {}, host.clock().steady()};
  require_version_matters(host, version.project);
  if (!request.build) version.images = find_images(host, version.project, {}, limits);
  return version;
}

bool is_fresh(const Host& host, const Version& version) {
  return !version.images.empty() && host.clock().steady() - version.looked < look_is_fresh;
}

Desired whole_version(Host& host, const DeployRequest& request, const Version& version, bool may_pull, const Limits& limits) {
  if (request.build && may_pull) build_services(host, version.project, {}, false, limits);
  const auto images = is_fresh(host, version) ? version.images : find_images(host, version.project, {}, limits, request.build && !may_pull);
  if (may_pull) pull_images(host, images, limits);
  return render(version.project, host.environment(), facts_of(host, images, limits), {request.version, host.remote()});
}

Desired desired_for(Host& host, const DeployRequest& request, const std::optional<Version>& version, const Observed& observed, bool may_pull,
                    const Limits& limits) {
  if (version) return whole_version(host, request, *version, may_pull, limits);
  const auto current = serving(observed, host.project());
  if (!current || current->adopted) {
    throw Failure{Exit::failed, fmt::format("nothing that codops deployed runs in {}", host.environment().name),
                  fmt::format("codops deploy {} VERSION", host.environment().name)};
  }
  if (!request.services.empty()) return one_service_moved(host, request, observed, *current, may_pull, limits);
  auto desired = as_deployed(host, observed, *current, limits);
  require_services(desired, request.restart);
  for (const auto& [name, count] : request.scale) {
    require_services(desired, {name});
    const auto* service = current->service(name);
    if (service->role != release::Role::stateless) {
      throw Failure{Exit::usage, fmt::format("\"{}\" can't be scaled: it is {}", name, to_string(service->role)),
                    "only services without a published port, a fixed name or data can run several times"};
    }
    // An upstream without a server is an error of nginx, and a request that came would have no answer.
    if (count == 0 && service->port != 0 && !desired.proxy.service.empty()) {
      throw Failure{Exit::usage, fmt::format("\"{}\" serves behind the proxy \"{}\": with no container of it every request would fail", name, desired.proxy.service),
                    fmt::format("nothing was changed; codops maintenance {0} on answers for it, codops down {0} stops everything", host.environment().name)};
    }
  }
  return desired;
}

}  // namespace codops::ops
