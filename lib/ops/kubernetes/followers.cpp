#include "lib/ops/kubernetes/followers.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "lib/kube/service_address.hpp"
#include "lib/kube/service_move.hpp"
#include "lib/kube/service_reach.hpp"
#include "lib/ops/kubernetes/observed.hpp"

namespace codops::ops::kubernetes {
namespace {

using kube::Sign;

bool serves_pods(const kube::Object& object) { return object.kind() == "Service" && object.group().empty(); }

// What sends requests on to Services by their names.
bool leads_to_services(const kube::Object& object) {
  static const std::set<std::string> routes{"HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute"};
  return (object.group() == "networking.k8s.io" && object.kind() == "Ingress") || (object.group() == "gateway.networking.k8s.io" && routes.contains(object.kind()));
}

std::vector<kube::WorkloadChange> workload_changes(const std::vector<kube::Object>& objects, const std::vector<kube::ObjectDiff>& diffs, const std::vector<std::string>& restarted,
                                             const std::vector<kube::Object>& gone, const Observed& observed) {
  std::vector<kube::WorkloadChange> changes;
  for (std::size_t index = 0; index < objects.size(); ++index) {
    const auto& object = objects[index];
    if (!kube::is_workload(object)) continue;
    const auto* live = observed.find(object.ref());
    const bool again = std::find(restarted.begin(), restarted.end(), key_of(object)) != restarted.end();
    changes.push_back({live == nullptr ? kube::Object{} : *live, object, again || (diffs[index].sign == Sign::changed && diffs[index].new_pods)});
  }
  for (const auto& object : gone) {
    if (kube::is_workload(object)) changes.push_back({object, {}, false});
  }
  return changes;
}

}  // namespace

std::vector<std::string> Followers::keys() const {
  auto all = services;
  all.insert(all.end(), others.begin(), others.end());
  return all;
}

Followers followers_of(const std::vector<kube::Object>& objects, const std::vector<kube::ObjectDiff>& diffs, const std::vector<std::string>& restarted,
                       const std::vector<kube::Object>& gone, const Observed& observed) {
  Followers followers;
  const auto changes = workload_changes(objects, diffs, restarted, gone, observed);
  std::map<std::string, std::vector<std::string>> not_ready;  // namespace → Services that lead to no ready pod before the rollout
  for (std::size_t index = 0; index < objects.size(); ++index) {
    const auto& object = objects[index];
    if (!serves_pods(object)) continue;
    if (diffs[index].sign == Sign::added && std::any_of(changes.begin(), changes.end(), [&](const auto& change) { return kube::is_started(change) && kube::is_led_to(object, change.after); })) {
      not_ready[object.namespace_()].push_back(object.name());
    }
    const auto* live = observed.find(object.ref());
    if (diffs[index].sign != Sign::changed || live == nullptr) continue;
    const auto& recorded = observed.current_objects;
    const auto on_record = std::find_if(recorded.begin(), recorded.end(), [&](const auto& one) { return one.ref() == object.ref(); });
    // Led elsewhere by hand, and put right: the pods that serve are meant by it.
    if (on_record != recorded.end() && !kube::leads_elsewhere(*on_record, object)) continue;
    auto move = kube::move_of(*live, object, changes);
    if (!move.follows) {
      followers.moved_first = followers.moved_first || kube::leads_elsewhere(*live, object);
      continue;
    }
    followers.services.push_back(key_of(object));
    followers.names.push_back(object.ref().text());
    if (!move.gap.empty()) followers.gaps.push_back(std::move(move.gap));
    not_ready[object.namespace_()].push_back(object.name());
  }
  for (std::size_t index = 0; index < objects.size(); ++index) {
    const auto& object = objects[index];
    const auto* live = observed.find(object.ref());
    if (diffs[index].sign != Sign::changed || live == nullptr || !leads_to_services(object)) continue;
    if (!kube::newly_names(*live, object, not_ready[object.namespace_()])) continue;
    followers.others.push_back(key_of(object));
    followers.names.push_back(object.ref().text());
  }
  return followers;
}

std::map<std::string, std::string> former_addresses(const release::Release& target, const std::vector<kube::Object>& objects, const std::vector<kube::ObjectDiff>& diffs, const Observed& observed) {
  std::set<std::string> lost;
  for (std::size_t index = 0; index < objects.size(); ++index) {
    if (!serves_pods(objects[index]) || (diffs[index].sign != Sign::added && diffs[index].sign != Sign::changed)) continue;
    const auto* live = observed.find(objects[index].ref());
    if (live == nullptr || !kube::has_node_ports(kube::address_of(*live))) lost.insert(key_of(objects[index]));
  }
  std::map<std::string, std::string> found;
  if (lost.empty()) return found;
  // By the release that served before the run: of one with a higher number, the first knows what this one had.
  std::map<std::string, std::map<int, std::string>> known;
  for (const auto& record : observed.snapshot.journals) {
    const auto plan = record.plan();
    if (!plan || plan->from < target.number) continue;
    for (const auto& step : plan->steps) {
      const auto args = nlohmann::json::parse(step.args, nullptr, false);
      if (!args.is_object() || !args.contains("assigned")) continue;
      for (const auto& [key, address] : args.at("assigned").items()) {
        if (lost.contains(key)) known[key][plan->from] = address.get<std::string>();
      }
    }
  }
  for (const auto& [key, addresses] : known) found.emplace(key, addresses.begin()->second);
  return found;
}

}  // namespace codops::ops::kubernetes
