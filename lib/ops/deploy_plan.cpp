#include "lib/ops/deploy_plan.hpp"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "lib/io/crypto.hpp"
#include "lib/ops/addresses.hpp"
#include "lib/ops/adopted.hpp"
#include "lib/ops/carried_volumes.hpp"
#include "lib/ops/definitions.hpp"
#include "lib/ops/mounted_files.hpp"
#include "lib/ops/others.hpp"
#include "lib/ops/sole_writer.hpp"
#include "lib/ops/transition.hpp"

namespace codops::ops {
namespace {

using release::Member;
using release::Release;
using release::Role;
using release::ServiceRecord;

bool contains(const std::vector<std::string>& list, const std::string& item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

std::set<std::string> taken_addresses(const Observed& observed) {
  std::set<std::string> taken;
  for (const auto& [number, release] : observed.snapshot.releases) {
    for (const auto& service : release.services) {
      for (const auto& member : service.members) {
        if (!member.address.empty()) taken.insert(member.address);
      }
    }
  }
  for (const auto& container : observed.containers) {
    if (const auto found = container.addresses.find(observed.traffic.name); found != container.addresses.end()) {
      taken.insert(found->second);
    }
  }
  return taken;
}

int replicas_of(const ServiceRecord& wanted, const ServiceRecord* current, const PlanOptions& options) {
  if (wanted.role != Role::stateless) return wanted.role == Role::one_shot || wanted.configured_replicas > 0 ? 1 : 0;
  if (const auto scaled = options.scale.find(wanted.name); scaled != options.scale.end()) return scaled->second;
  // A count set by `scale` stays until the compose file's own value changes.
  if (current != nullptr && current->configured_replicas == wanted.configured_replicas && current->replicas > 0 &&
      current->has_spec) {
    return current->replicas;
  }
  return wanted.configured_replicas;
}

bool is_same(const ServiceRecord& wanted, const ServiceRecord& current, bool has_its_mounts) {
  if (is_of_others(current)) {
    // Made by docker compose: data is left where it is when the image and what it is mounted from are the same; anything else rolls once.
    return (wanted.role == Role::stateful || is_of_others(wanted)) && wanted.image_id == current.image_id && has_its_mounts;
  }
  return wanted.same_definition(current) && (wanted.role != Role::proxy || has_its_mounts);
}

// Members that exist, run and are as they were made, lowest numbers first.
std::vector<Member> alive(const ServiceRecord& service, const Release& release, const Observed& observed) {
  std::vector<Member> members;
  for (const auto& member : service.members) {
    const auto* container = observed.container(member.container);
    if (container == nullptr) {
      if (service.role == Role::one_shot && is_pruned(observed, release, member)) members.push_back(member);
      continue;
    }
    if (service.role == Role::one_shot || (container->running() && altered(observed, service, member, *container).empty())) members.push_back(member);
  }
  return members;
}

// A stopped stateful container is started again rather than made anew: its layer may hold what its volume doesn't.
bool keeps_stopped(Role role) { return role == Role::stateful || role == Role::proxy || role == Role::exclusive; }

std::vector<Member> kept_members(const ServiceRecord& wanted, const ServiceRecord& current, const Release& release, const Observed& observed) {
  if (!keeps_stopped(wanted.role)) return alive(current, release, observed);
  std::vector<Member> members;
  for (const auto& member : current.members) {
    if (observed.container(member.container) != nullptr) members.push_back(member);
  }
  return members;
}

// Containers that are started again join a network that was made again since, which may have another subnet.
void readdress(ServiceRecord& service, AddressPool& pool) {
  for (auto& member : service.members) {
    if (!member.address.empty() && !pool.holds(member.address)) member.address = pool.next();
  }
}

void decide_members(ServiceRecord& service, const std::optional<Release>& serving, bool has_its_mounts, int release, const std::string& project, AddressPool& pool,
                    const Observed& observed, const PlanOptions& options) {
  const auto* current = serving ? serving->service(service.name) : nullptr;
  service.replicas = replicas_of(service, current, options);
  service.members.clear();
  service.set = release;
  const bool may_change = options.only.empty() || contains(options.only, service.name);
  const bool forced = options.force && may_change && (service.role == Role::stateless || contains(options.only, service.name));
  if (current != nullptr && is_same(service, *current, has_its_mounts) && !forced) {
    service.members = kept_members(service, *current, *serving, observed);
    std::sort(service.members.begin(), service.members.end(), [](const auto& a, const auto& b) { return a.number < b.number; });
    if (service.members.size() > static_cast<std::size_t>(service.replicas)) {
      service.members.resize(static_cast<std::size_t>(service.replicas));
    }
    readdress(service, pool);
    service.set = current->set;
    if (service.hash != current->hash && !current->hash.empty()) service.hash = current->hash;
  }
  std::set<int> numbers;
  for (const auto& member : service.members) numbers.insert(member.number);
  // Who shares the network of the host or of another container can be on no other.
  const bool joins_traffic = (service.role == Role::stateless || service.role == Role::proxy || service.role == Role::exclusive) && service.networks != "{}";
  for (int number = 1; static_cast<int>(service.members.size()) < service.replicas; ++number) {
    if (numbers.contains(number)) continue;
    auto name = fmt::format("{}-{}-r{}-{}", project, service.name, release, number);
    service.members.push_back({std::move(name), joins_traffic ? pool.next() : std::string{}, number});
  }
}

// A folder of files is mounted when a container is made: the proxy, whose files are replaced while it runs, can't get or lose one.
bool has_folders_of(const nlohmann::json& body, const ServiceRecord& current, const Observed& observed) {
  const auto wanted = folders_in(body);
  return std::all_of(current.members.begin(), current.members.end(), [&](const Member& member) {
    const auto* container = observed.container(member.container);
    if (container == nullptr) return true;
    std::set<std::string> there;
    for (const auto& mount : container->mounts) {
      if (is_unnamed(mount)) there.insert(mount.destination);
    }
    return std::includes(there.begin(), there.end(), wanted.begin(), wanted.end()) &&
           std::all_of(there.begin(), there.end(), [&](const auto& place) { return wanted.contains(place) || !is_folder_of_files(current, place); });
  });
}

// Whether what others started is mounted from where the service's definition says, and the proxy has its folders.
bool has_mounts_of(const Desired& desired, const ServiceRecord* current, const Observed& observed) {
  if (current == nullptr) return true;
  const auto spec = desired.specs.find(current->name);
  if (spec == desired.specs.end()) return true;
  const auto body = nlohmann::json::parse(spec->second.reveal());
  if (!is_of_others(*current)) return current->role != Role::proxy || has_folders_of(body, *current, observed);
  const auto wanted = mounts_of(body);
  return std::all_of(current->members.begin(), current->members.end(), [&](const Member& member) {
    const auto* container = observed.container(member.container);
    return container != nullptr && std::all_of(wanted.begin(), wanted.end(), [&](const ObservedMount& mount) {
             return std::any_of(container->mounts.begin(), container->mounts.end(), [&](const ObservedMount& there) {
               return there.destination == mount.destination && there.source == mount.source;
             });
           });
  });
}

// What others started and the next release goes on with, for people.
void note_takeovers(plan::Plan& plan, const std::optional<Release>& current, const Release& next) {
  if (!current) return;
  for (const auto& service : next.services) {
    const auto* was = current->service(service.name);
    if (was == nullptr || !is_of_others(*was)) continue;
    if (service.role == Role::stateless && was->members.size() > service.members.size() && !service.members.empty()) {
      plan.warnings.push_back(fmt::format("{} runs {} times, by hand (--scale), and gets {} as the compose file says: deploy.replicas there, or codops scale {} {}={} afterwards", service.name, was->members.size(),
                                          service.members.size(), next.environment, service.name, was->members.size()));
    }
    if (service.role != Role::stateful) continue;
    for (const auto& member : service.members) {
      const bool stays = std::find(was->members.begin(), was->members.end(), member) != was->members.end();
      if (stays) plan.notes.push_back(fmt::format("{} is {}, which codops did not make: it is taken over as it runs", service.name, member.container));
    }
  }
}

// Somebody else's to make: made here they would be empty.
void require_external(const Desired& desired, const Observed& observed) {
  const auto require = [](const std::vector<NamedObject>& wanted, const std::vector<std::string>& there, const char* what) {
    for (const auto& object : wanted) {
      if (!object.external || contains(there, object.name)) continue;
      throw Failure{Exit::config, fmt::format("the external {} \"{}\" is not on the engine", what, object.name), fmt::format("docker {} create {} where it is to be new; or leave external out", what, object.name)};
    }
  };
  require(desired.networks, observed.networks, "network");
  require(desired.volumes, observed.volumes, "volume");
}

std::string config_hash_of(const Release& release) {
  io::Sha256 hash;
  for (const auto& service : release.services) hash.update(service.name).update(service.hash).update(service.image_id);
  return hash.hex();
}

// Containers of the project that no release recorded and no run of codops made: somebody's `docker compose up`.
std::vector<std::string> intruders_of(const Observed& observed, const std::optional<Release>& current, const Release& next) {
  std::set<std::string> known;
  const auto remember = [&](const Release& release) {
    for (const auto& service : release.services) {
      for (const auto& member : service.members) known.insert(member.container);
    }
  };
  for (const auto& [number, release] : observed.snapshot.releases) remember(release);
  if (current) remember(*current);
  remember(next);
  std::vector<std::string> intruders;
  for (const auto& container : observed.containers) {
    const bool ours = container.labels.count(label_token) != 0;
    if (!ours && !known.contains(container.name) && next.service(container.service) != nullptr) intruders.push_back(container.name);
  }
  return intruders;
}

plan::Plan empty_plan(const std::string& environment, const std::optional<Release>& current, const Release& next,
                      const PlanOptions& options) {
  plan::Plan plan;
  plan.verb = options.verb;
  plan.environment = environment;
  plan.run = options.token;
  plan.release = next.number;
  plan.version = next.version;
  plan.from = current ? current->number : 0;
  plan.from_version = current ? current->version : std::string{};
  return plan;
}

}  // namespace

std::vector<NamedObject> networks_of(const Release& release) {
  std::map<std::string, NamedObject> networks;
  const auto own = release.project + "_";
  for (const auto& service : release.services) {
    const auto joined = service.networks.empty() ? nlohmann::json::object() : nlohmann::json::parse(service.networks);
    for (const auto& [name, endpoint] : joined.items()) {
      const nlohmann::json labels{{"com.docker.compose.project", release.project}, {"com.docker.compose.network", name.starts_with(own) ? name.substr(own.size()) : name}};
      networks.insert_or_assign(name, NamedObject{name, nlohmann::json{{"Driver", "bridge"}, {"Labels", labels}}.dump(), !name.starts_with(own)});
    }
  }
  std::vector<NamedObject> list;
  for (auto& [name, network] : networks) list.push_back(std::move(network));
  return list;
}

Planned plan_deploy(const Desired& desired, const Observed& observed, const PlanOptions& options) {
  Planned planned;
  auto current = serving(observed, desired.project);
  const bool on_record = current && is_on_record(observed, *current);
  if (current && current->adopted && !on_record) current = as_adopted(std::move(*current), desired.environment, desired.services);
  std::vector<std::string> left;
  if (current) {
    add_unrecorded(*current, desired.services, observed);
    left = add_left_data(*current, desired.services, observed);
  }
  Release& next = planned.next;
  next.number = std::max(highest_release(observed), current ? current->number : 0) + 1;
  next.version = desired.version;
  next.environment = desired.environment;
  next.project = desired.project;
  next.services = desired.services;
  next.definitions = desired.definitions;
  require_external(desired, observed);
  AddressPool pool{observed.traffic.subnet, taken_addresses(observed)};
  for (auto& service : next.services) {
    const auto* was = current ? current->service(service.name) : nullptr;
    decide_members(service, current, has_mounts_of(desired, was, observed), next.number, desired.project, pool, observed, options);
  }
  next.config_hash = config_hash_of(next);
  planned.plan = empty_plan(desired.environment, current, next, options);
  planned.plan.notes = desired.notes;
  planned.plan.notes.insert(planned.plan.notes.end(), left.begin(), left.end());
  planned.plan.warnings = desired.warnings;
  for (auto& line : other_than_defined(next, observed)) planned.plan.warnings.push_back(std::move(line));
  note_takeovers(planned.plan, current, next);
  note_carried(planned.plan, current, next, observed);
  const auto changes = changes_between(current, next, observed);
  planned.intruders = intruders_of(observed, current, next);
  plan_steps(planned.plan, current, next, changes, planned.intruders, desired.networks, desired.volumes, desired.proxy, observed, options);
  next.upstreams = nlohmann::json::parse(planned.plan.context).at("upstreams");
  if (current && current->adopted && !on_record) planned.adopted = current;
  planned.current = std::move(current);
  return planned;
}

Planned plan_rollback(const Release& target, const ProxySettings& proxy, const Observed& observed, const PlanOptions& options) {
  Planned planned;
  auto current = serving(observed, target.project);
  if (current && current->adopted && !is_on_record(observed, *current)) current = as_adopted(std::move(*current), target.environment, target.services);
  // Records of what was taken over did not always say what its services are for.
  const bool bare = target.adopted && target.environment.empty() && current;
  planned.next = bare ? as_adopted(target, current->environment, current->services) : target;
  const auto left = current ? add_left_data(*current, planned.next.services, observed) : std::vector<std::string>{};
  planned.plan = empty_plan(planned.next.environment, current, target, options);
  planned.plan.notes = left;
  planned.plan.warnings = other_than_defined(target, observed);
  // Data stays as it is: going back must not touch it, whatever the old release said of its container.
  for (auto& service : planned.next.services) {
    const auto* now = current ? current->service(service.name) : nullptr;
    if (service.role == Role::stateful && now != nullptr) {
      const bool by_compose = service.hash.empty() && service.image_id == now->image_id;
      if (!service.same_definition(*now) && !by_compose) {
        planned.kept_data.push_back(service.name);
        planned.plan.warnings.push_back(fmt::format("{} keeps its present definition: a rollback never touches data; set the old one in the compose file, then codops deploy {} {} --allow-downtime",
                                                    service.name, planned.next.environment, target.version));
      }
      service = *now;
    } else if (service.role == Role::proxy && now != nullptr && service.same_definition(*now)) {
      service.members = now->members;  // one proxy, reloaded
    }
  }
  for (const auto& service : planned.next.services) {
    if (service.has_spec) continue;
    for (const auto& member : service.members) {
      if (observed.container(member.container) != nullptr) continue;
      throw Failure{Exit::failed,
                    fmt::format("release {} can't be restored: {} was removed, and codops did not make it", target.number, member.container),
                    "deploy its version instead"};
    }
  }
  AddressPool pool{observed.traffic.subnet, taken_addresses(observed)};
  for (auto& service : planned.next.services) readdress(service, pool);
  const auto changes = changes_between(current, planned.next, observed);
  planned.intruders = intruders_of(observed, current, planned.next);
  plan_steps(planned.plan, current, planned.next, changes, planned.intruders, networks_of(planned.next), {}, proxy, observed, options);
  planned.next.upstreams = nlohmann::json::parse(planned.plan.context).at("upstreams");
  planned.current = std::move(current);
  return planned;
}

std::optional<std::vector<std::string>> differ_in_data_alone(const Release& current, const Release& next) {
  const auto differs = [](const Release& one, const Release& other) {
    return std::any_of(one.services.begin(), one.services.end(), [&](const auto& service) {
      const auto* there = other.service(service.name);
      if (service.role == Role::one_shot || (service.role == Role::stateful && there != nullptr)) return false;
      return there == nullptr || there->members != service.members || there->files != service.files;
    });
  };
  if (differs(current, next) || differs(next, current)) return std::nullopt;
  std::vector<std::string> data;
  for (const auto& service : next.services) {
    const auto* there = current.service(service.name);
    if (service.role == Role::stateful && there != nullptr && there->members != service.members) data.push_back(service.name);
  }
  return data;
}

bool was_rolled_back(const Recovery& recovery) { return recovery.undone == "deploy" || recovery.undone == "scale" || recovery.undone == "restart"; }

DeployResult rolled_back_already(const Recovery& recovery, const std::optional<Release>& serving) {
  DeployResult result;
  result.run.no_op = true;
  result.run.plan.verb = "rollback";
  if (serving) {
    result.run.plan.release = serving->number;
    result.run.plan.version = serving->version;
    result.previous = fmt::format("{} (release {})", serving->version, serving->number);
  }
  result.enough = recovery.text;
  return result;
}

const Release& rollback_target(const release::Snapshot& snapshot, const std::optional<std::string>& to, bool replaced) {
  const auto* current = snapshot.current();
  if (current == nullptr) {
    throw Failure{Exit::failed, "nothing is deployed that could be rolled back", snapshot.environment.empty() ? "nothing was deployed by codops yet" : fmt::format("codops history {} shows what was", snapshot.environment)};
  }
  std::vector<const Release*> served;  // newest first
  for (auto entry = snapshot.history.rbegin(); entry != snapshot.history.rend(); ++entry) {
    const auto found = snapshot.releases.find(entry->release);
    if (entry->result != "ok" || found == snapshot.releases.end() || (found->first == current->number && !replaced)) continue;
    if (std::find(served.begin(), served.end(), &found->second) == served.end()) served.push_back(&found->second);
  }
  if (current->number > 0 && to) {
    int number = 0;
    const auto [end, error] = std::from_chars(to->data(), to->data() + to->size(), number);
    const bool is_number = error == std::errc{} && end == to->data() + to->size();
    for (const auto* release : served) {
      if (release->version == *to || (is_number && release->number == number)) return *release;
    }
    if (current->version == *to || (is_number && current->number == number)) {
      throw Failure{Exit::usage, fmt::format("release {} ({}) is the one that serves", current->number, current->version)};
    }
    std::vector<std::string> known;
    for (const auto* release : served) known.push_back(fmt::format("{} ({})", release->number, release->version));
    throw Failure{Exit::usage, fmt::format("no release \"{}\" is kept", *to),
                  known.empty() ? "deploy that version instead" : fmt::format("kept: {}", fmt::join(known, ", "))};
  }
  // The newest that is older than what serves; else (after a rollback) the newest other one would go forward: refuse to guess.
  for (const auto* release : served) {
    if (release->number < current->number || (replaced && release->number == current->number)) return *release;
  }
  throw Failure{Exit::failed, fmt::format("release {} ({}) is the oldest that is kept: there is nothing to roll back to", current->number, current->version),
                "deploy the version that you want"};
}

}  // namespace codops::ops
