#include "lib/ops/others.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace codops::ops {
namespace {

using release::Release;
using release::Role;
using release::ServiceRecord;

bool is_single(Role role) { return role == Role::stateful || role == Role::exclusive || role == Role::proxy; }

const ObservedContainer* of_member(const Observed& observed, const release::Member& member) {
  const auto* container = observed.container(member.container);
  return container != nullptr ? container : observed.renamed(member.container);
}

int number_in(const ObservedContainer& container, const char* label, int number) {
  const auto text = label_of(container, label);
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

int number_of(const ObservedContainer& container) { return number_in(container, "com.docker.compose.container-number", 1); }

ServiceRecord as_left(ServiceRecord known, const ObservedContainer& container, const std::string& traffic) {
  known.image = container.image;
  known.image_id = container.image_id;
  known.hash = label_of(container, label_hash);
  known.restart = container.restart_policy.empty() ? "no" : container.restart_policy;
  known.set = number_in(container, label_release, 0);
  const auto address = container.addresses.find(traffic);
  known.members = {{container.name, address == container.addresses.end() ? std::string{} : address->second, number_of(container)}};
  known.replicas = 1;
  return known;
}

// Two of data at once are nobody's to choose between: the step that would start a third refuses.
bool can_stand_in(Role role, std::size_t count) { return count == 1 || (count > 1 && role != Role::stateful); }

}  // namespace

bool made_by_others(const ObservedContainer& container) { return !container.labels.contains(label_token); }

bool is_of_others(const ServiceRecord& service) { return !service.has_spec && service.hash.empty(); }

std::vector<const ObservedContainer*> others_beside(const Observed& observed, const Release& release, const std::string& service) {
  std::vector<const ObservedContainer*> others;
  for (const auto& container : observed.containers) {
    if (container.service != service || !container.is_up() || !made_by_others(container)) continue;
    const bool own = std::any_of(release.services.begin(), release.services.end(), [&](const auto& known) {
      return std::any_of(known.members.begin(), known.members.end(), [&](const auto& member) { return member.container == container.name; });
    });
    if (!own) others.push_back(&container);
  }
  return others;
}

ServiceRecord as_started(ServiceRecord known, const std::vector<const ObservedContainer*>& containers) {
  const auto& first = *containers.front();
  known.image = first.image;
  known.image_id = first.image_id;
  known.digest.clear();
  known.hash.clear();
  known.has_spec = false;
  known.networks.clear();
  known.files.clear();
  known.limits.reset();
  known.restart = first.restart_policy.empty() ? "no" : first.restart_policy;
  known.members.clear();
  for (const auto* container : containers) known.members.push_back({container->name, {}, number_of(*container)});
  known.replicas = static_cast<int>(known.members.size());
  return known;
}

bool is_replaced(const Release& release, const Observed& observed) {
  bool others = false;
  for (const auto& service : release.services) {
    if (service.role == Role::one_shot) continue;
    if (std::any_of(service.members.begin(), service.members.end(), [&](const auto& member) { return of_member(observed, member) != nullptr; })) return false;
    others = others || !others_beside(observed, release, service.name).empty();
  }
  return others;
}

Release with_stand_ins(Release release, const Observed& observed) {
  for (auto& service : release.services) {
    if (!is_single(service.role)) continue;
    const bool up = std::any_of(service.members.begin(), service.members.end(), [&](const auto& member) {
      const auto* container = of_member(observed, member);
      return container != nullptr && container->is_up();
    });
    if (up) continue;
    const auto others = others_beside(observed, release, service.name);
    if (can_stand_in(service.role, others.size())) service = as_started(std::move(service), others);
  }
  return release;
}

void add_unrecorded(Release& release, const std::vector<ServiceRecord>& wanted, const Observed& observed) {
  for (const auto& service : wanted) {
    if (!is_single(service.role) || release.service(service.name) != nullptr) continue;
    const auto others = others_beside(observed, release, service.name);
    if (!can_stand_in(service.role, others.size())) continue;
    release.services.push_back(as_started(service, others));
    release.services.back().set = release.number;
  }
}

bool is_left_data(const ObservedContainer& container, const Release& serving) {
  return container.is_up() && !made_by_others(container) && label_of(container, label_role) == to_string(Role::stateful) && serving.service(container.service) == nullptr;
}

std::vector<std::string> add_left_data(Release& release, const std::vector<ServiceRecord>& wanted, const Observed& observed) {
  std::vector<std::string> notes;
  for (const auto& service : wanted) {
    if (service.role != Role::stateful || release.service(service.name) != nullptr) continue;
    std::vector<const ObservedContainer*> up;
    for (const auto& container : observed.containers) {
      if (container.service == service.name && container.is_up()) up.push_back(&container);
    }
    if (up.size() != 1 || !is_left_data(*up.front(), release)) continue;
    release.services.push_back(as_left(service, *up.front(), observed.traffic.name));
    const auto& left = release.services.back();
    notes.push_back(fmt::format("{} is {}, which release {} had left running", service.name, up.front()->name, left.set));
  }
  return notes;
}

}  // namespace codops::ops
