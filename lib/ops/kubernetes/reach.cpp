#include "lib/ops/kubernetes/reach.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/engine/kubernetes/api.hpp"
#include "lib/kube/service_address.hpp"
#include "lib/kube/service_move.hpp"

namespace codops::ops::kubernetes {
namespace {

constexpr Milliseconds look_again_at_reach{200};
// Every node's proxy writes down by itself what the endpoints are now, once a second.
constexpr Milliseconds proxies_follow{1500};

std::vector<kube::Object> listed(RunContext& context, const char* api_version, const char* kind, const std::string& namespace_, std::string labels, const Limits& limits) {
  std::vector<kube::Object> all;
  context.cluster.api().list(api_version, kind, namespace_, {std::move(labels), {}}, [&](nlohmann::json&& json) { all.emplace_back(std::move(json)); }, limits);
  return all;
}

bool reaches(RunContext& context, const kube::Object& service, const Limits& limits) {
  const auto selection = kube::selection_of(service);
  if (selection.empty()) return true;
  const auto slices = listed(context, "discovery.k8s.io/v1", "EndpointSlice", service.namespace_(), "kubernetes.io/service-name=" + service.name(), limits);
  return kube::reaches_its_pods(service, slices, listed(context, "v1", "Pod", service.namespace_(), selection, limits));
}

}  // namespace

bool await_reach(RunContext& context, const std::vector<kube::Object>& services, Milliseconds at_most, const Limits& limits) {
  if (services.empty()) return true;
  const auto until = limits.within(at_most);
  try {
    for (const auto& service : services) {
      while (!reaches(context, service, limits)) {
        if (until.deadline.expired()) return false;
        until.within(look_again_at_reach).wait(-1, 0);
      }
    }
  } catch (const k8s::ApiError& error) {
    if (error.status() != 403) throw;
  }
  limits.within(proxies_follow).wait(-1, 0);
  return true;
}

void restore_addresses(RunContext& context, const std::vector<kube::Object>& objects, const std::map<std::string, std::string>& addresses, const Limits& limits) {
  for (const auto& object : objects) {
    const auto found = addresses.find(key_of(object));
    if (found == addresses.end()) continue;
    const auto wanted = kube::at_address(object, found->second);
    if (wanted.json() == object.json()) continue;
    try {
      // The apply without them that comes next leaves them where they are, and nobody's own, as they were.
      context.cluster.api().apply(wanted.json(), {.force = true}, limits);
    } catch (const k8s::ApiError& error) {
      context.cluster.reporter().warn(fmt::format("{} can't have the address back that it had ({}): {}; it gets another", object.ref().text(), found->second, error.message()));
    }
  }
}

}  // namespace codops::ops::kubernetes
