#include "lib/ops/observed.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <set>

#include "lib/ops/adopted.hpp"
#include "lib/ops/members.hpp"
#include "lib/ops/others.hpp"
#include "lib/ops/upstreams.hpp"

namespace codops::ops {
namespace {

using Json = nlohmann::json;
using release::Release;
using release::Role;
using release::ServiceRecord;

int number_in(const std::string& text) {
  int number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

Role role_from_label(const std::string& text) {
  for (const auto role : {Role::stateless, Role::exclusive, Role::stateful, Role::one_shot, Role::proxy}) {
    if (to_string(role) == text) return role;
  }
  return Role::stateless;
}

int release_of(const ObservedContainer& container) { return number_in(label_of(container, label_release)); }

// Of a lost state: the release that the proxy was led to, else the newest that runs; 0: made by docker compose.
WrittenFor served_by_labels(const Observed& observed) {
  const ObservedContainer* newest = nullptr;
  const ObservedContainer* led = nullptr;
  const auto written = observed.upstreams ? written_for(*observed.upstreams) : std::nullopt;
  for (const auto& container : observed.containers) {
    const auto release = container.running() ? release_of(container) : 0;
    if (release != 0 && (newest == nullptr || release > release_of(*newest))) newest = &container;
    if (written && release != 0 && release <= written->release) led = &container;
  }
  if (newest == nullptr) return {};
  return led != nullptr ? *written : WrittenFor{release_of(*newest), label_of(*newest, label_version)};
}

// Of one service of a lost state the containers that belong together: of a run that died there may be others beside them.
std::vector<const ObservedContainer*> set_that_serves(const Observed& observed, const std::string& service, int newest) {
  std::vector<const ObservedContainer*> all, set;
  const ObservedContainer* last = nullptr;
  for (const auto& container : observed.containers) {
    if (!container.running() || container.service != service || release_of(container) > newest) continue;
    all.push_back(&container);
    if (last == nullptr || release_of(container) > release_of(*last)) last = &container;
  }
  if (last == nullptr || release_of(*last) == 0) return all;
  const auto primaries = observed.upstreams ? primaries_in(*observed.upstreams, service) : std::vector<std::string>{};
  const auto is_led_to = [&](const ObservedContainer* one) {
    const auto address = one->addresses.find(observed.traffic.name);
    return address != one->addresses.end() && std::find(primaries.begin(), primaries.end(), address->second) != primaries.end();
  };
  if (const auto first = std::find_if(all.begin(), all.end(), is_led_to); first != all.end()) last = *first;
  for (const auto* one : all) {
    const bool same = one->image_id == last->image_id && label_of(*one, label_hash) == label_of(*last, label_hash);
    if (same && (is_led_to(one) || !is_led_to(last))) set.push_back(one);
  }
  return set;
}

bool was_taken_down(const release::Snapshot& snapshot) {
  const auto last = std::find_if(snapshot.history.rbegin(), snapshot.history.rend(), [](const auto& entry) { return entry.result == "ok"; });
  return last != snapshot.history.rend() && last->action == "down";
}

std::optional<Release> made_up(const Observed& observed, const std::string& project) {
  const auto [newest, version] = served_by_labels(observed);
  Release release;
  release.adopted = true;
  release.project = project;
  release.number = newest != 0 ? newest : observed.snapshot.last_number() + 1;
  release.version = newest != 0 ? version : "from docker compose";
  std::set<std::string> seen;
  for (const auto& container : observed.containers) {
    if (!container.running() || container.service.empty() || !seen.insert(container.service).second) continue;
    const auto set = set_that_serves(observed, container.service, newest);
    if (set.empty()) continue;  // only of a run that died
    const auto& first = *set.front();
    auto& service = release.services.emplace_back();
    service.name = first.service;
    service.image = first.image;
    service.image_id = first.image_id;
    service.hash = label_of(first, label_hash);
    service.has_spec = false;
    service.role = role_from_label(label_of(first, label_role));
    service.set = release.number;
    service.restart = first.restart_policy.empty() ? "no" : first.restart_policy;
    for (const auto* one : set) {
      const auto address = one->addresses.find(observed.traffic.name);
      service.members.push_back({one->name, address == one->addresses.end() ? "" : address->second, number_in(label_of(*one, "com.docker.compose.container-number"))});
    }
    service.replicas = static_cast<int>(service.members.size());
  }
  if (release.services.empty()) return std::nullopt;
  // Where its traffic goes is in the proxy still: without it a later rollback to this release would lead nowhere.
  if (observed.upstreams && newest != 0) {
    release.upstreams = *observed.upstreams;
    for (auto& service : release.services) service.port = port_in(release.upstreams, service.name);
  }
  return release;
}

}  // namespace

std::string label_of(const ObservedContainer& container, const char* name) {
  const auto found = container.labels.find(name);
  return found == container.labels.end() ? std::string{} : found->second;
}

int highest_release(const Observed& observed) {
  int highest = observed.snapshot.last_number();
  for (const auto& container : observed.containers) highest = std::max(highest, release_of(container));
  return highest;
}

const ObservedContainer* Observed::container(const std::string& name) const {
  for (const auto& candidate : containers) {
    if (candidate.name == name) return &candidate;
  }
  return nullptr;
}

const ObservedContainer* Observed::renamed(const std::string& name) const {
  if (container(name) != nullptr) return nullptr;
  for (const auto& one : containers) {
    if (label_of(one, label_container) == name) return &one;
  }
  return nullptr;
}

bool is_edited(const ObservedContainer& container, WallTime written) {
  constexpr auto start_takes = std::chrono::seconds{10};
  if (written.time_since_epoch().count() == 0) return false;
  return written < container.created || written > container.started + start_takes;
}

bool is_on_record(const Observed& observed, const Release& release) {
  const auto* current = observed.snapshot.current();
  return current != nullptr && current->number == release.number;
}

std::optional<Release> serving(const Observed& observed, const std::string& project) {
  const auto& snapshot = observed.snapshot;
  const auto* current = snapshot.current();
  if (current != nullptr && !is_replaced(*current, observed)) return with_stand_ins(*current, observed);
  if (current == nullptr && !was_taken_down(snapshot)) return made_up(observed, project);
  // What codops had made is gone: what runs is others'.
  auto others = observed;
  std::erase_if(others.containers, [](const auto& container) { return !made_by_others(container); });
  auto found = made_up(others, project);
  if (!found) return current != nullptr ? std::optional{*current} : std::nullopt;
  const auto* known = current != nullptr ? current : snapshot.releases.empty() ? nullptr : &snapshot.releases.rbegin()->second;
  return known == nullptr ? found : as_adopted(std::move(*found), known->environment, known->services);
}

std::optional<std::size_t> switch_of(const plan::Plan& plan) {
  for (std::size_t index = 0; index < plan.steps.size(); ++index) {
    if (plan.steps[index].name == "switch") return index;
  }
  return std::nullopt;
}

bool traffic_moved(const plan::Plan& plan, const Observed& observed) {
  const auto index = switch_of(plan);
  if (!index || !observed.upstreams || observed.snapshot.maintenance) return false;
  const auto actual = effective(*observed.upstreams);
  const auto is_at = [&](const plan::Step& step, const char* where) {
    return actual == effective(Json::parse(step.args).at(where).get_ref<const std::string&>());
  };
  if (is_at(plan.steps[*index], "back")) return false;
  return std::any_of(plan.steps.begin(), plan.steps.end(), [&](const auto& step) { return (step.name == "switch" || step.name == "settle") && is_at(step, "to"); });
}

std::string altered(const Observed& observed, const ServiceRecord& service, const release::Member& member, const ObservedContainer& container) {
  if (!member.address.empty()) {
    const auto joined = container.addresses.find(observed.traffic.name);
    if (joined == container.addresses.end()) return fmt::format("{} was taken off the network {}, where traffic reaches it", container.name, observed.traffic.name);
    // The proxy's own address leads nobody anywhere.
    if (joined->second != member.address && service.role != Role::proxy) {
      return fmt::format("{} has the address {} on {}, and traffic goes to {}", container.name, joined->second, observed.traffic.name, member.address);
    }
  }
  const auto networks = service.networks.empty() ? nlohmann::json::object() : nlohmann::json::parse(service.networks, nullptr, false);
  for (const auto& [network, endpoint] : networks.items()) {
    if (!container.addresses.contains(network)) return fmt::format("{} was taken off the network {}", container.name, network);
  }
  if (!service.image_id.empty() && !container.image_id.empty() && container.image_id != service.image_id) return fmt::format("{} runs another image than the release", container.name);
  if (service.has_spec && policy_name(container.restart_policy) != policy_name(service.restart)) {
    return fmt::format("{} has the restart policy {} instead of {}", container.name, policy_name(container.restart_policy), policy_name(service.restart));
  }
  if (service.has_spec && service.limits) {
    for (const auto& [name, value] : container.limits) {
      const auto asked = service.limits->find(name);
      if (asked == service.limits->end()) return fmt::format("{} has {} {} by hand (docker update)", container.name, name, value);
      if (asked->second != value) return fmt::format("{} has {} {} instead of {} (docker update)", container.name, name, value, asked->second);
    }
    // Asked for and not there: an engine whose kernel can't limit that says so when it makes the container, and drops it.
  }
  return {};
}

bool is_pruned(const Observed& observed, const Release& release, const release::Member& member) {
  const auto is_there = [&](const release::Member& one) { return observed.container(one.container) != nullptr || observed.renamed(one.container) != nullptr; };
  if (is_there(member)) return false;
  bool any = false;
  for (const auto& service : release.services) {
    if (service.role == Role::one_shot) continue;
    const bool all = std::all_of(service.members.begin(), service.members.end(), is_there);
    if (service.role == Role::stateful && !all) return false;
    any = any || std::any_of(service.members.begin(), service.members.end(), is_there);
  }
  return any;
}

bool is_cut_off(const Observed& observed, const release::Member& member) {
  const auto* container = observed.container(member.container);
  return container != nullptr && container->running() && !member.address.empty() && !container->addresses.contains(observed.traffic.name);
}

bool leads_elsewhere(const Observed& observed, const Release& release) {
  if (!observed.upstreams || release.upstreams.empty() || observed.snapshot.maintenance) return false;
  return effective(*observed.upstreams) != effective(release.upstreams);
}

std::optional<std::string> upstreams_by_stat(const release::Snapshot& snapshot, std::uint64_t size, const std::optional<WallTime>& written) {
  const auto* current = snapshot.current();
  if (current == nullptr || current->upstreams.size() != size || !written || snapshot.unfinished() != nullptr || snapshot.maintenance) return std::nullopt;
  const auto& history = snapshot.history;
  const auto last = std::find_if(history.rbegin(), history.rend(), [](const auto& entry) { return entry.result == "ok"; });
  constexpr auto clock_step = std::chrono::seconds{1};  // the engine says its time in whole seconds
  if (last == history.rend() || *written < last->started || *written > last->ended + clock_step) return std::nullopt;
  return current->upstreams;
}

int resting_release(const Observed& observed, bool old_set_running) {
  if (!old_set_running) return 0;
  const auto& history = observed.snapshot.history;
  const auto last = std::find_if(history.rbegin(), history.rend(), [](const auto& entry) { return entry.result == "ok"; });
  return last != history.rend() && (last->action == "deploy" || last->action == "rollback") ? last->from : 0;
}

}  // namespace codops::ops
