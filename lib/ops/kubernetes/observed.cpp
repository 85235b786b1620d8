#include "lib/ops/kubernetes/observed.hpp"

#include <nlohmann/json.hpp>
#include <set>

#include "lib/base/parallel.hpp"
#include "lib/engine/kubernetes/api.hpp"
#include "lib/ops/kubernetes/desired.hpp"

namespace codops::ops::kubernetes {
namespace {

constexpr std::size_t worth_a_list = 10;  // objects of one kind, that else are asked for one by one

struct Place {
  std::string api_version, kind, namespace_;
  k8s::Selection selection;
};

// By name: that much a Role in the namespace can grant. Where not even that is, applying it says what is missing.
std::optional<kube::Object> find_namespace(k8s::Api& api, const std::string& name, const Limits& limits) {
  try {
    auto found = api.find({"v1", "Namespace", {}, name}, limits);
    return found ? std::optional{kube::Object{std::move(*found)}} : std::nullopt;
  } catch (const k8s::ApiError& error) {
    if (error.status() != 403) throw;
    return std::nullopt;
  }
}

std::vector<kube::Object> list_all(k8s::Api& api, const std::vector<Place>& places, const Limits& limits) {
  std::vector<std::vector<kube::Object>> found(places.size());
  in_parallel(places.size(), k8s::most_connections, [&](std::size_t index) {
    const auto& place = places[index];
    api.list(place.api_version, place.kind, place.namespace_, place.selection, [&](nlohmann::json&& json) { found[index].emplace_back(std::move(json)); }, limits);
  });
  std::vector<kube::Object> all;
  for (auto& some : found) all.insert(all.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
  return all;
}

}  // namespace

bool is_namespace(const kube::Object& object) { return object.kind() == "Namespace" && object.group().empty(); }

const kube::Object* Observed::find(const kube::Ref& ref) const {
  const auto found = live.find(ref);
  return found == live.end() ? nullptr : &found->second;
}

Observed observe_state(Cluster& cluster, const Limits& limits) {
  Observed observed;
  observed.snapshot = cluster.store().load(limits);
  if (const auto* current = observed.snapshot.current()) {
    try {
      observed.current_objects = objects_of(cluster.store().load_specs(*current, limits));
    } catch (const Failure& failure) {
      if (failure.code() != Exit::data) throw;
      // Never the reason that nothing can be deployed any more: what the set's label finds is still known.
      cluster.reporter().warn(failure.message() + "; what it alone had of other kinds is not known");
    }
  }
  observed.now = cluster.now();
  return observed;
}

void observe_objects(Cluster& cluster, Observed& observed, const std::vector<kube::Object>& wanted, const Limits& limits) {
  auto& api = cluster.api();
  const auto label = std::string{kube::applyset_part_of} + "=" + cluster.set().id();
  // Kinds and namespaces where members may be: what is wanted, and what was made before.
  // By group, kind and namespace: in the version that the manifests have, or every deploy would see the other one's form as a change.
  std::map<std::array<std::string, 3>, std::string> places;
  const auto group_of = [](const std::string& api_version) { return api_version.substr(0, api_version.find('/') == std::string::npos ? 0 : api_version.find('/')); };
  const auto add = [&](const std::vector<kube::Object>& objects) {
    for (const auto& object : objects) {
      if (!is_namespace(object)) places.emplace(std::array{group_of(object.api_version()), object.kind(), object.namespace_()}, object.api_version());
    }
  };
  add(wanted);
  add(observed.current_objects);
  // Without the former kinds nobody would see what of them is left.
  auto named = wanted;
  named.insert(named.end(), observed.current_objects.begin(), observed.current_objects.end());
  const auto parent = cluster.set_parent(limits);
  const auto& types = cluster.types(named, limits, parent);
  if (!parent.empty()) {
    for (const auto& list : kube::member_lists(parent, types)) {
      places.emplace(std::array{list.type->group, list.type->kind, list.namespace_}, list.type->group.empty() ? list.type->version : list.type->group + "/" + list.type->version);
    }
  }
  std::vector<Place> listed;
  for (const auto& [place, api_version] : places) {
    const auto& [group, kind, namespace_] = place;
    const auto version = api_version.substr(group.empty() ? 0 : group.size() + 1);
    if (types.find(group, version, kind) == nullptr) continue;  // its CRD comes with this very release
    listed.push_back({api_version, kind, namespace_, {label, {}}});
  }
  for (auto& object : list_all(api, listed, limits)) {
    observed.live.insert_or_assign(object.ref(), object);
    observed.members.push_back(std::move(object));
  }
  std::vector<k8s::ObjectRef> rest;
  auto spaces = kube::member_namespaces(parent);
  for (const auto& object : named) {
    if (is_namespace(object)) spaces.insert(object.name());
  }
  for (const auto& name : spaces) {
    const auto found = find_namespace(api, name, limits);
    if (!found) continue;
    if (found->label(kube::applyset_part_of) == cluster.set().id()) observed.members.push_back(*found);
    observed.live.insert_or_assign(found->ref(), *found);
  }
  std::map<std::array<std::string, 3>, std::vector<k8s::ObjectRef>> strangers;
  for (const auto& object : wanted) {
    if (observed.live.contains(object.ref()) || types.find(object) == nullptr || is_namespace(object)) continue;
    strangers[{object.api_version(), object.kind(), object.namespace_()}].push_back(ref_of(object));
  }
  std::vector<Place> many;
  std::set<kube::Ref> asked;
  for (const auto& object : wanted) asked.insert(object.ref());
  for (const auto& [place, refs] : strangers) {
    if (refs.size() < worth_a_list) {
      rest.insert(rest.end(), refs.begin(), refs.end());
      continue;
    }
    const auto& [api_version, kind, namespace_] = place;
    many.push_back({api_version, kind, namespace_, {{}, kind == "Secret" && api_version == "v1" ? "type!=codops.dev/state" : ""}});
  }
  for (auto& object : list_all(api, many, limits)) {
    if (asked.contains(object.ref())) observed.live.insert_or_assign(object.ref(), std::move(object));
  }
  for (auto& json : api.find_all(rest, limits)) {
    if (json.is_null()) continue;
    kube::Object object{std::move(json)};
    observed.live.insert_or_assign(object.ref(), object);
  }
  observed.now = cluster.now();
}

}  // namespace codops::ops::kubernetes
