#include "lib/ops/deploy.hpp"

#include <fmt/format.h>

#include "lib/base/parallel.hpp"
#include "lib/engine/docker/api.hpp"
#include "lib/engine/docker/create_body.hpp"
#include "lib/ops/build.hpp"
#include "lib/ops/companions.hpp"
#include "lib/ops/images.hpp"
#include "lib/ops/observe.hpp"
#include "lib/ops/others.hpp"
#include "lib/ops/preflight.hpp"
#include "lib/ops/render.hpp"
#include "lib/ops/version_name.hpp"

namespace codops::ops {
namespace {

using release::Release;

Milliseconds elapsed_since(const Host& host, std::chrono::steady_clock::time_point start) {
  return std::chrono::duration_cast<Milliseconds>(host.clock().steady() - start);
}

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

PlanOptions options_for(const Host& host, const DeployRequest& request, const std::string& token) {
  const auto& environment = host.environment();
  PlanOptions options;
  options.verb = request.verb;
  options.force = request.force || request.verb == "restart";
  options.scale = request.scale;
  options.only = request.restart;
  for (const auto& [service, version] : request.services) options.only.push_back(service);
  options.monitor = environment.monitor;
  options.old_set_running = environment.old_set == settings::OldSet::running;
  options.token = token;
  if (request.verb == "deploy") {
    for (const auto& hook : environment.hooks.pre_deploy) options.pre_hooks.push_back(hook.shown);
  }
  return options;
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

// A version's compose file and images, as found before anything was locked.
struct Version {
  compose::Project project;
  std::vector<ImageState> images;  // empty: they are built first
  std::chrono::steady_clock::time_point looked;
};

bool needs_pull(const Version& version) {
  return std::any_of(version.images.begin(), version.images.end(), [](const ImageState& image) { return image.must_pull; });
}

// Whoever had to wait for the lock looks again: an image may have been pruned, a tag may have moved.
constexpr std::chrono::seconds look_is_fresh{10};

Version find_version(Host& host, const DeployRequest& request, const Limits& limits) {
  Version version{load_compose(host.environment(), request.version, host.shell()), {}, host.clock().steady()};
  require_version_matters(host, version.project);
  if (!request.build) version.images = find_images(host, version.project, {}, limits);
  return version;
}

bool is_fresh(const Host& host, const Version& version) {
  return !version.images.empty() && host.clock().steady() - version.looked < look_is_fresh;
}

std::vector<ImageState> images_of(Host& host, const DeployRequest& request, const Version& version, bool may_build, const Limits& limits) {
  try {
    return find_images(host, version.project, {}, limits);
  } catch (const Failure& failure) {
    if (!request.build || may_build || failure.code() != Exit::failed) throw;
    throw Failure{failure.code(), failure.message() + "; a dry run builds nothing", fmt::format("codops build {} {}, then the dry run", host.environment().name, request.version)};
  }
}

Desired whole_version(Host& host, const DeployRequest& request, const Version& version, bool may_pull, const Limits& limits) {
  if (request.build && may_pull) build_services(host, version.project, {}, false, limits);
  const auto images = is_fresh(host, version) ? version.images : images_of(host, request, version, may_pull, limits);
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

Planned planned_for(Host& host, const DeployRequest& request, const Desired& desired, const Observed& observed, const std::string& token,
                    const Companies& companies, const Limits& limits) {
  auto options = options_for(host, request, token);
  if (request.verb == "deploy") {
    options.backup = companies.backup_text;
    options.migrate = companies.migrate_text;
  }
  auto planned = plan_deploy(desired, observed, options);
  const auto current = serving(observed, host.project());
  planned.next.migrations = request.verb == "deploy" && !companies.migrations.empty() ? companies.migrations
                            : current                                                ? current->migrations
                                                                                     : std::vector<std::string>{};
  planned.plan.warnings.insert(planned.plan.warnings.end(), companies.warnings.begin(), companies.warnings.end());
  preflight(host, desired, observed, planned, limits);
  return planned;
}

// What follows the record: room is made.
void conclude(Host& host, Transaction& transaction, std::chrono::steady_clock::time_point began, Milliseconds waited, RunResult& run,
              const Limits& limits) {
  if (run.exit == Exit::ok) run.engine_time["remove"] += transaction.prune(limits);
  run.waited = waited;
  run.elapsed = elapsed_since(host, began);
}

}  // namespace

void require_version(const std::string& version) {
  const auto good = [](char c, bool first) {
    const bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    return word || (!first && (c == '.' || c == '-'));
  };
  bool valid = !version.empty() && version.size() <= 128;
  for (std::size_t index = 0; valid && index < version.size(); ++index) valid = good(version[index], index == 0);
  if (valid) return;
  throw Failure{Exit::usage, fmt::format("\"{}\" is no version: it can't be an image's tag", version),
                "letters, digits, \"_\", \".\" and \"-\", at most 128, not beginning with \".\" or \"-\""};
}

void require_no_maintenance(const Host& host, const Observed& observed, const std::string& verb) {
  if (!observed.snapshot.maintenance) return;
  throw Failure{Exit::failed, fmt::format("maintenance is on: {} would lead the front to the application, and nothing could prove it behind the page", verb),
                fmt::format("nothing was changed; codops maintenance {} off, then again", host.environment().name)};
}

void require_consent(const Host& host, const Planned& planned, bool allow_downtime, const std::function<bool(const std::string&)>& confirm) {
  const bool down = !planned.plan.downtime.empty();
  if (down && !allow_downtime) {
    if (!confirm || !confirm(fmt::format("{} has downtime ({}). Go on?", planned.plan.verb, fmt::join(planned.plan.downtime, "; ")))) {
      throw Failure{Exit::failed, fmt::format("this {} has downtime: {}", planned.plan.verb, fmt::join(planned.plan.downtime, "; ")),
                    "nothing was changed; --allow-downtime accepts it"};
    }
  }
  if (!host.environment().protected_) return;
  if (!confirm || !confirm(fmt::format("{} {} to {}?", planned.plan.verb, planned.plan.version, host.environment().name))) {
    throw Failure{Exit::failed, "not confirmed", "nothing was changed; --yes confirms without asking"};
  }
}

DeployResult deploy(Host& host, const DeployRequest& request, const Limits& limits) {
  DeployResult result;
  const auto began = host.clock().steady();
  result.dry_run = request.dry_run;
  if (request.services.empty() && request.verb == "deploy") require_version(request.version);
  const auto finish = [&](const Planned& planned, const Observed& observed) {
    const auto current = serving(observed, host.project());
    if (current) result.previous = fmt::format("{} (release {})", current->version, current->number);
    result.plan_text = plan_text(host, planned, current);
    result.run.plan = planned.plan;
    result.run.no_op = planned.plan.empty();
    if (planned.current) result.data_alone = differ_in_data_alone(*planned.current, planned.next);
  };
  std::optional<std::vector<migrate::File>> files;
  const auto companies_for = [&](const Observed& observed, const Desired& desired) {
    if (request.verb != "deploy") return Companies{};
    return plan_companions(host, desired, observed, !request.skip_backup && request.take_backup != nullptr, !request.skip_migrate, std::move(files), limits);
  };
  // What is wrong with files and arguments is found before anything is locked.
  std::optional<Version> version;
  if (request.verb == "deploy" && request.services.empty()) version = find_version(host, request, limits);
  if (request.dry_run) {
    const auto observed = observe(host.api(), host.store(), host.project(), host.environment().proxy.upstreams, limits);
    host.require_owner(observed.snapshot);
    require_no_maintenance(host, observed, request.verb);
    const auto desired = desired_for(host, request, version, observed, false, limits);
    const auto companies = companies_for(observed, desired);
    finish(planned_for(host, request, desired, observed, "dry-run", companies, limits), observed);
    return result;
  }
  // Where the images are there already, the version is read while what runs is looked at. What fails is met again where it is needed.
  std::optional<Desired> early;
  const auto read_version = [&] {
    if (!version || request.build || !is_fresh(host, *version) || needs_pull(*version)) return;
    try {
      early = whole_version(host, request, *version, false, limits);
      if (!request.skip_migrate && host.environment().migrate.enabled) files = migrations_in(host, *early, limits);
    } catch (const Failure&) {
    }
  };
  Transaction transaction{host, request.command, {request.lock_wait}, limits, RecoveryWay::in_passing, read_version};
  require_no_maintenance(host, transaction.observed(), request.verb);
  auto waited = transaction.waited();
  const auto images = host.clock().steady();
  const auto desired = early ? std::move(*early) : desired_for(host, request, version, transaction.observed(), true, limits);
  if (request.build || (version && needs_pull(*version))) waited += elapsed_since(host, images);
  transaction.choose_subnet(limits);
  const auto companies = companies_for(transaction.observed(), desired);
  const auto planned = planned_for(host, request, desired, transaction.observed(), transaction.token(), companies, limits);
  finish(planned, transaction.observed());
  if (planned.plan.empty()) return result;
  if (request.show) request.show(result.plan_text);
  const auto asked = host.clock().steady();
  require_consent(host, planned, request.allow_downtime, request.confirm);
  waited += elapsed_since(host, asked);
  result.run = transaction.run(planned, desired, companions_of(host, companies, planned, request.take_backup), limits);
  conclude(host, transaction, began, waited, result.run, limits);
  return result;
}

DeployResult rollback(Host& host, const RollbackRequest& request, const Limits& limits) {
  DeployResult result;
  const auto began = host.clock().steady();
  result.dry_run = request.dry_run;
  PlanOptions options;
  options.verb = "rollback";
  options.monitor = host.environment().monitor;
  options.old_set_running = host.environment().old_set == settings::OldSet::running;
  const auto plan_for = [&](const Observed& observed, const std::string& token) {
    options.token = token;
    const auto current = serving(observed, host.project());
    const auto& target = rollback_target(observed.snapshot, request.to, current && !is_on_record(observed, *current));
    ProxySettings proxy{host.environment().proxy.service, host.environment().proxy.upstreams,
                        current && current->upstreams.find("proxy_connect_timeout") != std::string::npos};
    auto planned = plan_rollback(target, proxy, observed, options);
    if (current) result.previous = fmt::format("{} (release {})", current->version, current->number);
    const auto ahead = schema_ahead(current, target);
    for (const auto& name : ahead) {
      planned.plan.warnings.push_back(fmt::format("the database stays ahead: migration {} is not known to {}", name, target.version));
    }
    if (!ahead.empty()) {
      planned.plan.warnings.push_back(fmt::format("nothing is taken back by itself; the data as it was before: codops restore {} BACKUP (codops backup list {})",
                                                  host.environment().name, host.environment().name));
    }
    result.plan_text = plan_text(host, planned, current);
    result.run.plan = planned.plan;
    result.run.no_op = planned.plan.empty();
    if (planned.plan.empty() && !planned.kept_data.empty()) {
      throw Failure{Exit::failed,
                    fmt::format("release {} ({}) differs from what serves in {} alone, and a rollback never touches data", target.number, target.version, fmt::join(planned.kept_data, ", ")),
                    fmt::format("nothing was changed; set the old definition in the compose file, then: codops deploy {} {} --allow-downtime", host.environment().name, target.version)};
    }
    return planned;
  };
  if (request.dry_run) {
    const auto observed = observe(host.api(), host.store(), host.project(), host.environment().proxy.upstreams, limits);
    host.require_owner(observed.snapshot);
    require_no_maintenance(host, observed, options.verb);
    plan_for(observed, "dry-run");
    return result;
  }
  Transaction transaction{host, request.command, {request.lock_wait}, limits};
  if (!request.to && was_rolled_back(transaction.recovery())) return rolled_back_already(transaction.recovery(), serving(transaction.observed(), host.project()));
  require_no_maintenance(host, transaction.observed(), options.verb);
  auto waited = transaction.waited();
  transaction.choose_subnet(limits);
  const auto planned = plan_for(transaction.observed(), transaction.token());
  if (planned.plan.empty()) return result;
  Desired desired;
  desired.networks = networks_of(planned.next);
  release::Specs present;
  const auto current = serving(transaction.observed(), host.project());
  in_parallel({[&] { desired.specs = host.store().load_specs(planned.next, limits); },
               [&] {
                 if (current) present = host.store().load_specs(*current, limits);
               }});
  // Data goes with the present definition, whatever the old release's was.
  if (current) {
    for (const auto& service : planned.next.services) {
      const auto found = present.find(service.name);
      if (service.role == release::Role::stateful && found != present.end()) desired.specs.insert_or_assign(service.name, found->second);
      // Of a proxy that codops did not make: where users come in.
      if (service.role == release::Role::proxy && !service.has_spec && found != present.end()) desired.specs.try_emplace(service.name, found->second);
    }
  }
  if (request.show) request.show(result.plan_text);
  const auto asked = host.clock().steady();
  require_consent(host, planned, request.allow_downtime, request.confirm);
  waited += elapsed_since(host, asked);
  result.run = transaction.run(planned, desired, {}, limits);
  conclude(host, transaction, began, waited, result.run, limits);
  return result;
}

}  // namespace codops::ops
