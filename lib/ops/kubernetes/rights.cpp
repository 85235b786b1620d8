#include "lib/ops/kubernetes/rights.hpp"

#include <fmt/format.h>

#include <map>
#include <set>

#include "lib/base/parallel.hpp"
#include "lib/engine/kubernetes/api.hpp"
#include "lib/kube/replicas.hpp"

namespace codops::ops::kubernetes {
namespace {

std::string resource_text(const Right& right) {
  return fmt::format("{}{}{}", right.plural, right.group.empty() ? "" : "." + right.group, right.subresource.empty() ? "" : "/" + right.subresource);
}

bool has(Cluster& cluster, const Right& right, const Limits& limits) {
  auto& known = cluster.rights();
  {
    const std::lock_guard lock{known.mutex};
    if (const auto found = known.answers.find(right); found != known.answers.end()) return found->second;
  }
  const bool allowed = cluster.api().allowed({right.verb, right.group, right.plural, right.subresource, right.namespace_, right.name}, limits);
  const std::lock_guard lock{known.mutex};
  known.answers.insert_or_assign(right, allowed);
  return allowed;
}

}  // namespace

std::vector<Right> missing_of(Cluster& cluster, const std::vector<Right>& wanted, const Limits& limits) {
  // Whoever may do everything is asked about nothing.
  if (wanted.empty() || has(cluster, {"*", "*", {}, {}, {}, "*"}, limits)) return {};
  std::vector<char> allowed(wanted.size());
  in_parallel(wanted.size(), k8s::most_connections, [&](std::size_t index) { allowed[index] = has(cluster, wanted[index], limits) ? 1 : 0; });
  std::vector<Right> missing;
  for (std::size_t index = 0; index < wanted.size(); ++index) {
    if (allowed[index] == 0) missing.push_back(wanted[index]);
  }
  return missing;
}

void refuse_missing(const std::vector<Right>& missing) {
  if (missing.empty()) return;
  // By place, then by resource: the verbs.
  std::map<std::string, std::map<std::string, std::set<std::string>>> places;
  for (const auto& right : missing) places[right.namespace_][resource_text(right)].insert(right.verb);
  std::vector<std::string> lines, roles;
  for (const auto& [namespace_, resources] : places) {
    for (const auto& [resource, verbs] : resources) {
      lines.push_back(fmt::format("{} {} {}", fmt::join(verbs, ", "), resource, namespace_.empty() ? "in the whole cluster" : "in " + namespace_));
    }
    roles.push_back(namespace_.empty() ? "a ClusterRole for what is of the whole cluster" : fmt::format("a Role in {}", namespace_));
  }
  throw Failure{Exit::failed, fmt::format("the cluster does not allow: {}", fmt::join(lines, "; ")),
                fmt::format("nothing was changed; {} with these verbs and resources, bound to your user; see: kubectl auth can-i --list{}", fmt::join(roles, ", and "),
                            missing.front().namespace_.empty() ? "" : " -n " + missing.front().namespace_)};
}

Right right_for(const k8s::Resource& resource, const kube::Object& object, const std::string& verb) {
  // Asking for a namespace by its name is asking within it: a Role there can grant it. To make one takes a ClusterRole.
  if (resource.group.empty() && resource.kind == "Namespace" && verb != "create") return {resource.group, resource.plural, {}, object.name(), object.name(), verb};
  return {resource.group, resource.plural, {}, resource.namespaced ? object.namespace_() : std::string{}, {}, verb};
}

std::vector<Right> rights_of_deploy(Cluster& cluster, const std::vector<kube::Object>& objects, const Limits& limits) {
  std::set<Right> wanted;
  const auto add = [&](const std::string& group, const std::string& plural, const std::string& namespace_, std::initializer_list<const char*> verbs) {
    for (const auto* verb : verbs) wanted.insert({group, plural, {}, namespace_, {}, verb});
  };
  const auto& home = cluster.namespace_();
  add("coordination.k8s.io", "leases", home, {"get", "create", "patch", "delete"});
  add("", "secrets", home, {"get", "list", "create", "patch", "delete"});
  for (const auto& object : objects) {
    const auto resource = cluster.api().find_resource(object.api_version(), object.kind(), limits);
    if (!resource) continue;
    const bool space = resource->group.empty() && resource->kind == "Namespace";
    // To make a namespace may be nobody's right here, and it may be there already: applying it says so.
    for (const auto* verb : {"get", "list", "create", "patch"}) {
      if (!space || (std::string_view{verb} != "list" && std::string_view{verb} != "create")) wanted.insert(right_for(*resource, object, verb));
    }
    if (kube::has_replicas(object)) add("autoscaling", "horizontalpodautoscalers", object.namespace_(), {"list"});
    if (!kube::is_workload(object)) continue;
    add("", "pods", object.namespace_(), {"list", "watch"});
    add("", "events", object.namespace_(), {"list", "watch"});
    if (object.kind() == "Deployment") add("apps", "replicasets", object.namespace_(), {"list", "watch"});
    if (object.kind() == "StatefulSet" || object.kind() == "DaemonSet") add("apps", "controllerrevisions", object.namespace_(), {"list", "watch"});
  }
  return {wanted.begin(), wanted.end()};
}

}  // namespace codops::ops::kubernetes
