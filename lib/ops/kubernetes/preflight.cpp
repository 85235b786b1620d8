#include "lib/ops/kubernetes/preflight.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <map>
#include <set>

#include "lib/base/parallel.hpp"
#include "lib/engine/kubernetes/api.hpp"
#include "lib/engine/kubernetes/state_store.hpp"
#include "lib/kube/fields.hpp"
#include "lib/kube/job_end.hpp"
#include "lib/kube/ownership.hpp"
#include "lib/kube/plain.hpp"
#include "lib/kube/quota.hpp"
#include "lib/kube/replicas.hpp"
#include "lib/kube/rollout.hpp"
#include "lib/kube/window.hpp"
#include "lib/kube/written_whole.hpp"
#include "lib/ops/kubernetes/admission.hpp"
#include "lib/ops/kubernetes/apply.hpp"
#include "lib/ops/kubernetes/rights.hpp"

namespace codops::ops::kubernetes {
namespace {

using Json = nlohmann::json;

// So few objects are sent twice rather than asked about.
constexpr std::size_t worth_asking_about = 20;

bool is_later(const kube::Object& object, const std::vector<kube::Ref>& later) {
  return std::any_of(later.begin(), later.end(), [&](const auto& ref) { return ref.group == object.group() && ref.kind == object.kind(); });
}

std::set<std::string> new_namespaces(const std::vector<kube::Object>& objects, const Observed& observed) {
  std::set<std::string> names;
  for (const auto& object : objects) {
    if (object.kind() == "Namespace" && object.group().empty() && observed.find(object.ref()) == nullptr) names.insert(object.name());
  }
  return names;
}

// Fields of strangers: those that the take-over of another tool's objects settles, and codops' own other names, are none.
std::vector<kube::Conflict> conflicts_with_others(const kube::Object& live, const kube::Object& desired) {
  const auto adoption = kube::adoption_of(live, desired, "codops");
  std::vector<kube::Conflict> others;
  for (auto& conflict : kube::conflicts_of(live, desired, "codops")) {
    if (conflict.manager == "codops" || conflict.manager == kube::window_manager) continue;
    const bool adopted = adoption && std::find(adoption->managers.begin(), adoption->managers.end(), conflict.manager) != adoption->managers.end();
    if (!adopted) others.push_back(std::move(conflict));
  }
  return others;
}

// Whether applying it would change nothing: everything that it says is so, and codops owns nothing there that it does not say. Then the
// server need not be asked. What it writes in another way (cpu "1000m") is asked.
bool is_applied(const kube::Object& live, const kube::Object& desired) {
  if (!live.json().at("metadata").contains("managedFields") || !kube::is_within(desired.json(), live.json())) return false;
  for (const auto& entry : live.json().at("metadata").at("managedFields")) {
    if (entry.value("manager", "") != k8s::field_manager || entry.value("operation", "") != "Apply" || !entry.value("subresource", "").empty()) continue;
    const auto owned = kube::leaves_of(entry.value("fieldsV1", Json::object()));
    return std::all_of(owned.begin(), owned.end(), [&](const auto& path) { return kube::value_at(desired.json(), path) != nullptr; });
  }
  return false;
}

// Objects of which no more can be learned by sending them twice, with what they will be; a new one is as its manifest says (null).
std::map<std::size_t, kube::Object> known_good(const std::vector<kube::Object>& objects, const Observed& observed, Admission& admission) {
  std::map<std::size_t, kube::Object> plain;
  std::set<std::string> namespaces;
  for (std::size_t index = 0; index < objects.size(); ++index) {
    const auto* live = observed.find(objects[index].ref());
    if (live == nullptr ? !kube::is_plain(objects[index]) : is_applied(*live, objects[index])) continue;
    const auto result = live == nullptr ? std::optional{kube::Object{}} : kube::plain_result(*live, objects[index]);
    if (!result) continue;
    plain.emplace(index, *result);
    namespaces.insert(objects[index].namespace_());
  }
  if (plain.size() < worth_asking_about || admission.others_decide(namespaces)) plain.clear();
  return plain;
}

// Kinds whose definition changes with this very release: until that is in place the server judges by the old one.
std::set<kube::Kind> redefined(const std::vector<kube::Object>& objects, const Observed& observed) {
  std::set<kube::Kind> kinds;
  for (const auto& object : objects) {
    const auto kind = kube::defined_kind(object);
    const auto* live = kind ? observed.find(object.ref()) : nullptr;
    if (live != nullptr && !is_applied(*live, object)) kinds.insert(*kind);
  }
  return kinds;
}

// "environment "test" of project "shop" (namespace shop)", by the set's parent; where that can't be read, the set's id.
std::string name_of_set(Cluster& cluster, const std::string& id, const std::string& namespace_, const Limits& limits) {
  constexpr std::string_view prefix = "codops-";
  std::optional<kube::Object> parent;
  for (const auto& where : {namespace_.empty() ? cluster.namespace_() : namespace_, std::string{}}) {
    try {
      for (auto& json : cluster.api().list("v1", "Secret", where, {fmt::format("{}={}", kube::applyset_id, id), {}}, limits)) parent = kube::Object{std::move(json)};
    } catch (const k8s::ApiError&) {
      // Not every user may look everywhere.
    }
    if (parent) break;
  }
  if (!parent) return fmt::format("the set {}", id);
  const auto name = parent->name();
  if (!name.starts_with(prefix)) return fmt::format("the set \"{}\" (namespace {})", name, parent->namespace_());
  const auto project = name.substr(prefix.size());
  std::string environment;
  try {
    k8s::SecretStore state{cluster.api(), parent->namespace_(), project};
    environment = release::ReleaseStore{state}.load(limits).environment;
  } catch (const Failure&) {
    limits.check("the look at another set");
  }
  return fmt::format("{}project \"{}\" (namespace {})", environment.empty() ? "" : fmt::format("the environment \"{}\" of ", environment), project, parent->namespace_());
}

// From rolling pods to Recreate: the server's own defaults of rollingUpdate are in the way, which only another call takes away (apply_wave).
// Tried without it.
bool stops_rolling(const kube::Object* live, const kube::Object& wanted) {
  static const Json::json_pointer type{"/spec/strategy/type"}, rolling{"/spec/strategy/rollingUpdate"};
  return live != nullptr && wanted.kind() == "Deployment" && wanted.json().contains(type) && wanted.json().at(type) == "Recreate" && live->json().contains(rolling);
}

// A Job that ended and whose pods change is made anew: tried under another name, shown under its own.
Trial trial_of_new_job(Cluster& cluster, const kube::Object& object, const kube::Object& live, const Limits& limits) {
  auto body = kube::new_job(object).json();
  body["metadata"].erase("name");
  body["metadata"]["generateName"] = object.name().substr(0, 50) + "-";
  const auto made = cluster.api().try_create(body, limits);
  auto result = live.json();
  result["spec"]["template"]["spec"] = made.at("spec").at("template").at("spec");
  auto wanted = object.json();
  wanted["spec"].erase("template");
  kube::unite(result, wanted);
  return {kube::Object{std::move(result)}, {}, fmt::format("it has ended and what it runs changes: it is deleted and made anew, and runs again")};
}

// One-of fields in which another hand's branch is in the way of ours. nullopt: that is not it.
std::optional<Trial> trial_of_whole(Cluster& cluster, const kube::Object& object, const kube::Object& live, const Limits& limits) {
  const auto whole = kube::written_whole(live, object);
  if (!whole) return std::nullopt;
  try {
    return Trial{kube::Object{cluster.api().replace(whole->json(), limits, true)}, {}, "another hand's fields are in the way of its own: its pods' template is written whole"};
  } catch (const k8s::ApiError&) {
    return std::nullopt;  // the first refusal says why
  }
}

std::string position_of(const kube::Object& object) {
  const auto at = object.at().text();
  return at.empty() ? std::string{} : at + ": ";
}

std::map<kube::Ref, const kube::Object*> by_ref(const std::vector<kube::Object>& objects) {
  std::map<kube::Ref, const kube::Object*> map;
  for (const auto& object : objects) map.emplace(object.ref(), &object);
  return map;
}

}  // namespace

void ask_beside(Admission& admission, Questions& questions, const std::vector<kube::Object>& objects, const Observed& observed) {
  const auto on_record = by_ref(observed.current_objects);
  std::size_t changed = 0;
  std::set<std::string> namespaces;
  for (const auto& object : objects) {
    if (!kube::is_plain(object)) continue;
    const auto found = on_record.find(object.ref());
    if (found != on_record.end() && found->second->json() == object.json()) continue;
    ++changed;
    namespaces.insert(object.namespace_());
  }
  if (changed >= worth_asking_about) admission.ask(questions, namespaces);
}

std::vector<Trial> try_objects(Cluster& cluster, const std::vector<kube::Object>& objects, const std::vector<kube::Ref>& later, const Observed& observed,
                               bool force_conflicts, Admission& admission, const Limits& limits) {
  std::vector<Trial> trials(objects.size());
  const auto absent = new_namespaces(objects, observed);
  const auto new_rules = redefined(objects, observed);
  const auto known = known_good(objects, observed, admission);
  std::vector<std::string> problems;
  std::string hint;
  struct Attempt {
    std::size_t index;
    Json body;
    bool force;
    k8s::ApplyOutcome outcome;
  };
  std::vector<Attempt> attempts;
  for (std::size_t index = 0; index < objects.size(); ++index) {
    const auto& object = objects[index];
    if (is_later(object, later) || absent.contains(object.namespace_()) || (!observed.namespace_exists && object.namespace_() == cluster.namespace_())) continue;
    const auto* live = observed.find(object.ref());
    if (new_rules.contains({object.group(), object.kind()}) && (live == nullptr || !is_applied(*live, object))) {
      if (live != nullptr) trials[index].result = kube::Object{kube::merged(live->json(), object.json(), std::string{k8s::field_manager})};
      trials[index].note = "its CustomResourceDefinition changes with this release: the server is asked about it once that is in place";
      continue;
    }
    if (const auto result = known.find(index); result != known.end()) {
      trials[index].result = result->second;
      continue;
    }
    if (live != nullptr && is_applied(*live, object)) {
      trials[index].result = *live;
      continue;
    }
    const auto others = live == nullptr || force_conflicts ? std::vector<kube::Conflict>{} : conflicts_with_others(*live, object);
    for (const auto& conflict : others) {
      problems.push_back(fmt::format("{}{}: {} is managed by {} ({}), the manifest wants {}", position_of(object), object.ref().text(), conflict.field, conflict.manager,
                                     conflict.theirs, conflict.ours));
      hint = "take the field out of the manifest, or take it over: --force-conflicts";
    }
    if (!others.empty()) continue;
    // Without force the server would refuse what the take-over settles a moment later.
    attempts.push_back({index, object.json(), live != nullptr, {}});
    if (stops_rolling(live, object)) attempts.back().body["spec"].erase("strategy");
  }
  in_parallel(attempts.size(), k8s::most_connections, [&](std::size_t number) {
    auto& attempt = attempts[number];
    try {
      attempt.outcome.applied = cluster.api().apply(attempt.body, {.force = attempt.force, .dry_run = true}, limits);
    } catch (...) {
      attempt.outcome.failure = std::current_exception();
    }
  });
  for (auto& attempt : attempts) {
    const auto& object = objects[attempt.index];
    if (!attempt.outcome.failure) {
      const auto* live = observed.find(object.ref());
      kube::Object result{*attempt.outcome.applied.object};
      if (stops_rolling(live, object)) result.edit()["spec"]["strategy"] = object.json().at("spec").at("strategy");
      // What is left open stays (give_up_replicas), which the dry run does not know.
      const auto count = live == nullptr || kube::replicas_of(object) ? std::nullopt : kube::replicas_of(*live);
      if (count) result.edit()["spec"]["replicas"] = *count;
      trials[attempt.index] = {std::move(result), attempt.outcome.applied.warnings, {}};
      continue;
    }
    try {
      std::rethrow_exception(attempt.outcome.failure);
    } catch (const k8s::ApiError& error) {
      const auto* live = observed.find(object.ref());
      if (live != nullptr && object.kind() == "Job" && says_immutable(error)) {
        if (kube::has_ended(*live)) {
          trials[attempt.index] = trial_of_new_job(cluster, object, *live, limits);
          continue;
        }
        problems.push_back(fmt::format("{}{} still runs, and what it runs can't change", position_of(object), object.ref().text()));
        if (hint.empty()) hint = way_out(object, error);
        continue;
      }
      if (live != nullptr && error.status() == 422 && force_conflicts) {
        if (auto trial = trial_of_whole(cluster, object, *live, limits)) {
          trials[attempt.index] = std::move(*trial);
          continue;
        }
      }
      problems.push_back(fmt::format("{}{}", position_of(object), error.message()));
      if (hint.empty()) hint = way_out(object, error);
      if (hint.empty() && live != nullptr && error.status() == 422 && !force_conflicts && kube::others_wrote_pods(*live)) {
        hint = "somebody has written into its pods by hand (kubectl get -o yaml --show-managed-fields): where that is in the way, take it over: --force-conflicts";
      }
    }
  }
  if (!problems.empty()) throw Failure{Exit::failed, fmt::format("the cluster refuses {}:\n       {}", problems.size() == 1 ? "this" : "these", fmt::join(problems, "\n       ")),
                                       hint.empty() ? "nothing was changed" : hint};
  return trials;
}

void refuse_other_sets(Cluster& cluster, const std::vector<kube::Object>& objects, const Observed& observed, const std::string& hint, const Limits& limits) {
  std::vector<std::string> problems;
  std::map<std::string, std::string> names;
  for (const auto& object : objects) {
    const auto* live = observed.find(object.ref());
    const auto other = live == nullptr ? std::string{} : kube::other_set(*live, cluster.set());
    if (other.empty()) continue;
    if (!names.contains(other)) names[other] = name_of_set(cluster, other, object.namespace_(), limits);
    problems.push_back(fmt::format("{}{} belongs to {}", position_of(object), object.ref().text(), names[other]));
  }
  if (problems.empty()) return;
  throw Failure{Exit::failed, fmt::format("{} of somebody else; nothing was changed:\n       {}", problems.size() == 1 ? "an object is" : "objects are", fmt::join(problems, "\n       ")), hint};
}

void refuse_paused(const Planned& planned, const Observed& observed) {
  static const Json::json_pointer paused{"/spec/paused"};
  std::vector<std::string> problems, ways;
  for (std::size_t index = 0; index < planned.objects.size(); ++index) {
    const auto& object = planned.objects[index];
    const auto* live = observed.find(object.ref());
    if (live == nullptr || planned.diffs[index].sign == kube::Sign::same || object.json().contains(paused) || kube::refuse_early({*live}).empty()) continue;
    problems.push_back(fmt::format("{}{} was paused by hand: its pods do not change", position_of(object), object.ref().text()));
    ways.push_back(fmt::format("kubectl -n {} rollout resume {}", object.namespace_(), object.ref().text()));
  }
  if (!problems.empty()) throw Failure{Exit::failed, fmt::format("{}", fmt::join(problems, "\n       ")), fmt::format("nothing was changed; first: {}", fmt::join(ways, "; "))};
}

void warn_of_quotas(Cluster& cluster, Planned& planned, const Limits& limits) {
  static const Json::json_pointer unavailable{"/spec/strategy/rollingUpdate/maxUnavailable"}, strategy{"/spec/strategy/type"};
  std::vector<kube::Object> rolling;
  std::set<std::string> namespaces;
  for (std::size_t index = 0; index < planned.objects.size(); ++index) {
    const auto& object = planned.objects[index];
    const auto& diff = planned.diffs[index];
    if (object.kind() != "Deployment" || diff.sign != kube::Sign::changed || !diff.new_pods) continue;
    if (object.json().contains(unavailable) || object.json().value(strategy, "") == "Recreate") continue;
    rolling.push_back(object);
    namespaces.insert(object.namespace_());
  }
  std::vector<kube::Object> quotas;
  for (const auto& namespace_ : namespaces) {
    try {
      for (auto& json : cluster.api().list("v1", "ResourceQuota", namespace_, {}, limits)) quotas.emplace_back(std::move(json));
    } catch (const k8s::ApiError& error) {
      if (error.status() != 403) throw;
    }
  }
  for (auto& line : kube::without_room(rolling, quotas)) planned.plan.warnings.push_back(std::move(line));
}

void require_permissions(Cluster& cluster, const Planned& planned, const Limits& limits) {
  auto& api = cluster.api();
  std::set<Right> wanted;
  const auto ask = [&](const kube::Object& object, const char* verb) {
    const auto resource = api.find_resource(object.api_version(), object.kind(), limits);
    if (resource) wanted.insert(right_for(*resource, object, verb));
  };
  // A dry run has asked for create and patch already, where there was one; what going back needs is asked here, while nothing has changed yet.
  for (std::size_t index = 0; index < planned.objects.size(); ++index) {
    if (planned.diffs[index].sign == kube::Sign::same) continue;
    const auto& object = planned.objects[index];
    ask(object, planned.diffs[index].sign == kube::Sign::added ? "delete" : "patch");
    if (planned.diffs[index].sign == kube::Sign::added && kube::is_plain(object)) {
      ask(object, "create");
      ask(object, "patch");
    }
    if (object.kind() == "Job" && planned.diffs[index].sign == kube::Sign::changed && planned.diffs[index].new_pods) {
      ask(object, "delete");
      ask(object, "create");
    }
    if (!kube::is_workload(object)) continue;
    for (const auto* watched : {"pods", "events"}) wanted.insert({"", watched, {}, object.namespace_(), {}, "watch"});
    if (object.kind() == "Deployment") wanted.insert({"apps", "replicasets", {}, object.namespace_(), {}, "watch"});
  }
  refuse_missing(missing_of(cluster, {wanted.begin(), wanted.end()}, limits));
}

}  // namespace codops::ops::kubernetes
