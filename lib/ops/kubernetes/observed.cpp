#include "lib/ops/kubernetes/observed.hpp"

#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "lib/engine/kubernetes/api.hpp"
#include "lib/ops/kubernetes/desired.hpp"
#include "lib/ops/kubernetes/questions.hpp"

namespace codops::ops::kubernetes {
namespace {

// Kinds and namespaces where members may be, by group, kind and namespace, with the version to ask for: that of the manifests, or every
// deploy would see the other one's form as a change.
class Places {
 public:
  using Key = std::array<std::string, 3>;

  void add(const std::vector<kube::Object>& objects) {
    for (const auto& object : objects) {
      if (!is_namespace(object)) places_.emplace(Key{object.group(), object.kind(), object.namespace_()}, object.api_version());
    }
  }
  void add(const std::vector<kube::MemberList>& lists) {
    for (const auto& list : lists) {
      const auto& type = *list.type;
      places_.emplace(Key{type.group, type.kind, list.namespace_}, type.group.empty() ? type.version : type.group + "/" + type.version);
    }
  }

  // Those that were not asked about yet. What has no type comes with a CRD of this very release.
  void ask(Questions& questions, const kube::ResourceTypes& types, const std::string& label, std::vector<kube::Object>& members) {
    for (const auto& [place, api_version] : places_) {
      const auto& [group, kind, namespace_] = place;
      const auto version = api_version.substr(group.empty() ? 0 : group.size() + 1);
      if (types.find(group, version, kind) == nullptr || !asked_.insert(place).second) continue;
      questions.list(api_version, kind, namespace_, {label, {}}, into(members));
    }
  }

 private:
  std::map<Key, std::string> places_;
  std::set<Key> asked_;
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

// Objects of `wanted` that the set's label did not find, by name: many of one kind with one list.
void ask_about_strangers(Questions& questions, k8s::Api& api, const Observed& observed, const std::vector<kube::Object>& wanted, const kube::ResourceTypes& types,
                         std::vector<kube::Object>& found, std::vector<std::optional<kube::Object>>& named, const Limits& limits) {
  std::map<std::array<std::string, 3>, std::vector<k8s::ObjectRef>> strangers;
  for (const auto& object : wanted) {
    if (is_namespace(object) || observed.live.contains(object.ref()) || types.find(object) == nullptr) continue;
    strangers[{object.api_version(), object.kind(), object.namespace_()}].push_back(ref_of(object));
  }
  std::vector<k8s::ObjectRef> few;
  for (const auto& [place, refs] : strangers) {
    const auto& [api_version, kind, namespace_] = place;
    if (refs.size() < worth_a_list) few.insert(few.end(), refs.begin(), refs.end());
    else questions.list(api_version, kind, namespace_, {{}, kind == "Secret" && api_version == "v1" ? "type!=codops.dev/state" : ""}, into(found));
  }
  named.resize(few.size());
  for (std::size_t index = 0; index < few.size(); ++index) {
    questions.ask([&api, &named, &limits, index, ref = few[index]] {
      if (auto json = api.find(ref, limits)) named[index] = kube::Object{std::move(*json)};
    });
  }
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

void observe_objects(Cluster& cluster, Observed& observed, const std::vector<kube::Object>& wanted, const Limits& limits, const std::function<void(Questions&)>& beside) {
  auto& api = cluster.api();
  const auto label = std::string{kube::applyset_part_of} + "=" + cluster.set().id();
  // Without the former kinds nobody would see what of them is left.
  auto named = wanted;
  named.insert(named.end(), observed.current_objects.begin(), observed.current_objects.end());
  Places places;
  places.add(wanted);
  places.add(observed.current_objects);
  std::map<std::string, std::optional<kube::Object>> spaces;
  std::vector<kube::Object> members, strangers;
  std::vector<std::optional<kube::Object>> by_name;
  Questions questions{cluster, limits};
  const auto ask_about_spaces = [&](const std::set<std::string>& names) {
    for (const auto& name : names) {
      const auto [space, is_new] = spaces.try_emplace(name);
      if (is_new) questions.ask([&api, &limits, name, &found = space->second] { found = find_namespace(api, name, limits); });
    }
  };

  kube::Object parent;
  questions.ask([&] { parent = cluster.set_parent(limits); });
  const auto& kinds = cluster.types(named, limits);
  places.ask(questions, kinds, label, members);
  std::set<std::string> names;
  for (const auto& object : named) {
    if (is_namespace(object)) names.insert(object.name());
  }
  ask_about_spaces(names);
  // Of a first release nothing is found by the label, most likely: its objects are looked for at the same time.
  const bool first = observed.snapshot.releases.empty();
  if (first) ask_about_strangers(questions, api, observed, wanted, kinds, strangers, by_name, limits);
  if (beside) beside(questions);
  questions.answer();

  // Where else members may be the parent knows.
  const auto& types = cluster.types(named, limits, parent);
  if (!parent.empty()) places.add(kube::member_lists(parent, types));
  places.ask(questions, types, label, members);
  ask_about_spaces(kube::member_namespaces(parent));
  questions.answer();
  for (auto& object : members) {
    observed.live.insert_or_assign(object.ref(), object);
    observed.members.push_back(std::move(object));
  }
  for (const auto& [name, found] : spaces) {
    if (!found) continue;
    if (found->label(kube::applyset_part_of) == cluster.set().id()) observed.members.push_back(*found);
    observed.live.insert_or_assign(found->ref(), *found);
  }
  if (!first) {
    ask_about_strangers(questions, api, observed, wanted, types, strangers, by_name, limits);
    questions.answer();
  }
  std::set<kube::Ref> asked;
  for (const auto& object : wanted) asked.insert(object.ref());
  for (auto& object : strangers) {
    if (asked.contains(object.ref())) observed.live.emplace(object.ref(), object);
  }
  for (auto& object : by_name) {
    if (object) observed.live.emplace(object->ref(), *object);
  }
  observed.now = cluster.now();
}

}  // namespace codops::ops::kubernetes
