#include "lib/ops/kubernetes/apply.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/base/retry.hpp"
#include "lib/base/units.hpp"
#include "lib/engine/kubernetes/api.hpp"
#include "lib/kube/applyset.hpp"
#include "lib/kube/diff.hpp"
#include "lib/kube/job_end.hpp"
#include "lib/kube/replicas.hpp"
#include "lib/kube/summary.hpp"
#include "lib/kube/window.hpp"
#include "lib/kube/written_whole.hpp"
#include "lib/ops/kubernetes/rollout.hpp"

namespace codops::ops::kubernetes {
namespace {

using Json = nlohmann::json;

// As long as most pods are given to end, and then some.
constexpr Milliseconds going_time{60'000};
constexpr Milliseconds look_again_at_going{200};

// What scale and the window wrote under codops' own names is no stranger's.
bool only_our_own(const k8s::ApiError& error) {
  return std::all_of(error.causes().begin(), error.causes().end(), [](const auto& cause) {
    return cause.message.find("\"codops\"") != std::string::npos || cause.message.find(std::string{"\""} + kube::window_manager + "\"") != std::string::npos;
  });
}

bool keeps_rolling(const k8s::ApiError& error) {
  return error.message().find("spec.strategy.rollingUpdate") != std::string::npos && error.message().find("Recreate") != std::string::npos;
}

// A server that has taken a definition goes by it a moment later.
constexpr Milliseconds definition_time{10'000};

k8s::Applied apply_by_new_definition(RunContext& context, const Json& body, bool force, const Limits& limits) {
  Backoff backoff{Milliseconds{100}, Milliseconds{1000}};
  const auto until = limits.within(definition_time);
  for (;;) {
    const bool last = !backoff.wait(until);
    try {
      return context.cluster.api().apply(body, {.force = force}, limits);
    } catch (const Failure& failure) {
      const bool of_kind = dynamic_cast<const k8s::ApiError*>(&failure) != nullptr || failure.code() == Exit::config;
      if (last || !of_kind) throw;
    }
    context.cluster.rediscover();
  }
}

bool ends_a_wave(const kube::Object& object) { return object.kind() == "CustomResourceDefinition" || (object.kind() == "Namespace" && object.group().empty()); }

constexpr int give_up_attempts = 5;
constexpr int whole_attempts = 5;

// A Job's pods can't change. One that has ended is deleted and made anew; going back, one that still runs as well. nullopt: that is not why
// it was refused.
std::optional<k8s::Applied> made_anew(RunContext& context, const kube::Object& object, const k8s::ApiError& error, Conflicts conflicts, const Limits& limits) {
  if (object.kind() != "Job" || !says_immutable(error)) return std::nullopt;
  auto& api = context.cluster.api();
  const auto found = api.find(ref_of(object), limits);
  if (found) {
    const kube::Object live{*found};
    if (!kube::has_ended(live) && conflicts == Conflicts::refuse) return std::nullopt;
    api.remove(ref_of(object), {.uid = live.uid()}, limits);
    await_gone(context.cluster, {live}, limits);
  }
  return api.apply(kube::new_job(object).json(), {.force = true}, limits);
}

// Another hand's branch of a one-of field, which no apply takes away. nullopt: there is none.
std::optional<k8s::Applied> applied_whole(RunContext& context, const kube::Object& object, const k8s::ApiError& error, Conflicts conflicts, const Limits& limits) {
  if (conflicts == Conflicts::refuse || error.status() != 422) return std::nullopt;
  auto& api = context.cluster.api();
  for (int attempt = 1;; ++attempt) {
    const auto live = api.find(ref_of(object), limits);
    const auto whole = live ? kube::written_whole(kube::Object{*live}, object) : std::nullopt;
    if (!whole) return std::nullopt;
    try {
      api.replace(whole->json(), limits);
      break;
    } catch (const k8s::ApiError& refused) {
      // Controllers write status all the time.
      if (refused.status() == 409 && attempt < whole_attempts) continue;
      return std::nullopt;
    }
  }
  // As a plain change it would hold these fields against every later apply.
  api.adopt(ref_of(object), {std::string{k8s::field_manager}}, limits);
  return api.apply(object.json(), {.force = true}, limits);
}

// Numbers of replicas that these objects say no more: codops lets go of them first.
void give_up_replicas(RunContext& context, const std::vector<kube::Object>& wave, const Limits& limits) {
  auto& api = context.cluster.api();
  for (const auto& object : wave) {
    if (!kube::has_replicas(object) || kube::replicas_of(object)) continue;
    for (int attempt = 1;; ++attempt) {
      const auto live = api.find(ref_of(object), limits);
      const auto patch = live ? kube::replicas_release(kube::Object{*live}, object, std::string{k8s::field_manager}) : std::string{};
      if (patch.empty()) break;
      try {
        api.patch(ref_of(object), k8s::Api::PatchKind::json, Json::parse(patch), limits);
        break;
      } catch (const k8s::ApiError& error) {
        // Controllers write status all the time.
        if (error.status() != 409 || attempt == give_up_attempts) throw;
      }
    }
  }
}

void apply_wave(RunContext& context, const std::vector<kube::Object>& wave, Conflicts conflicts, const Limits& limits) {
  auto& api = context.cluster.api();
  give_up_replicas(context, wave, limits);
  std::vector<Json> bodies;
  for (const auto& object : wave) bodies.push_back(object.json());
  auto outcomes = api.apply_all(bodies, {.force = conflicts == Conflicts::take_over}, limits);
  std::optional<Failure> first;
  for (std::size_t index = 0; index < wave.size(); ++index) {
    auto& outcome = outcomes[index];
    if (const auto kind = kube::defined_kind(wave[index])) context.defined.insert(*kind);
    if (outcome.failure && context.defined.contains({wave[index].group(), wave[index].kind()})) {
      try {
        outcome.applied = apply_by_new_definition(context, bodies[index], conflicts == Conflicts::take_over, limits);
        outcome.failure = nullptr;
      } catch (const Failure&) {
        outcome.failure = std::current_exception();
      }
    }
    if (outcome.failure) {
      try {
        std::rethrow_exception(outcome.failure);
      } catch (const k8s::ApiError& error) {
        if (error.field_conflict() && only_our_own(error)) {
          outcome.applied = api.apply(bodies[index], {.force = true}, limits);
        } else if (keeps_rolling(error)) {
          // What the server filled in belongs to nobody, so that no apply takes it away.
          api.patch(ref_of(wave[index]), k8s::Api::PatchKind::merge, {{"spec", {{"strategy", {{"type", "Recreate"}, {"rollingUpdate", nullptr}}}}}}, limits);
          // As a plain change it would hold the strategy against every later apply.
          api.adopt(ref_of(wave[index]), {std::string{k8s::field_manager}}, limits);
          outcome.applied = api.apply(bodies[index], {.force = true}, limits);
        } else if (auto anew = made_anew(context, wave[index], error, conflicts, limits)) {
          outcome.applied = std::move(*anew);
        } else if (auto whole = applied_whole(context, wave[index], error, conflicts, limits)) {
          outcome.applied = std::move(*whole);
        } else {
          if (!first) first = error.field_conflict() ? conflict_failure(wave[index], outcome.failure) : Failure{Exit::failed, error.message(), way_out(wave[index], error)};
          continue;
        }
      } catch (const Failure& failure) {
        if (!first) first = failure;
        continue;
      }
    }
    kube::Object applied{*outcome.applied.object};
    if (applied.is_going()) {
      // It took the change and goes all the same.
      await_gone(context.cluster, {applied}, limits);
      applied = kube::Object{*api.apply(bodies[index], {.force = conflicts == Conflicts::take_over}, limits).object};
    }
    const auto key = key_of(wave[index]);
    context.generations[key] = applied.generation();
    if (kube::is_workload(applied)) context.applied.insert_or_assign(key, applied);
    // Most objects have nothing to wait for: to watch them would mean to list all of their kind.
    const bool settled = !kube::is_workload(applied) && kube::judge_other(applied, applied.generation()).state == kube::Verdict::State::done;
    if (settled) context.settled.insert(key);
    else context.settled.erase(key);
  }
  if (first) throw *first;
}

std::vector<kube::Object> values_of(const ObjectsByKey& objects) {
  std::vector<kube::Object> all;
  for (const auto& [key, object] : objects) all.push_back(object);
  return all;
}

}  // namespace

bool says_immutable(const k8s::ApiError& error) { return error.status() == 422 && error.message().find("immutable") != std::string::npos; }

ObjectsByKey by_key(const std::vector<kube::Object>& objects) {
  ObjectsByKey map;
  for (const auto& object : objects) map.emplace(key_of(object), object);
  return map;
}

void apply_objects(RunContext& context, std::vector<kube::Object> objects, Conflicts conflicts, const Limits& limits) {
  context.applied_at = context.cluster.now();
  for (const auto& wave : kube::apply_waves(std::move(objects))) {
    apply_wave(context, wave, conflicts, limits);
    std::vector<kube::Object> awaited;
    std::copy_if(wave.begin(), wave.end(), std::back_inserter(awaited), ends_a_wave);
    if (awaited.empty()) continue;
    await_rollout(context, awaited, {}, limits);
    context.cluster.rediscover();
  }
}

Failure conflict_failure(const kube::Object& object, const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const k8s::ApiError& refused) {
    auto text = fmt::format("{} has fields that somebody else manages:", object.ref().text());
    for (const auto& cause : refused.causes()) text += fmt::format("\n         {}  {}", cause.field, cause.message);
    return Failure{Exit::failed, text, "take them out of the manifest, or take them over: --force-conflicts"};
  }
}

std::string way_out(const kube::Object& object, const k8s::ApiError& error) {
  const bool claim = object.kind() == "PersistentVolumeClaim";
  if (error.message().find("immutable") == std::string::npos && !(claim && error.status() == 422)) return error.hint();
  // Whoever follows a hint at night must not lose what no deploy brings back.
  if (claim) {
    return fmt::format("a claim can only grow, once it is bound and where its class allows it. To keep its data: leave {0} as it is; or add a claim of another name, move the data (a backup first: codops backup ENV) "
                       "and name that one where {0} is used. Whoever deletes {0} deletes its data with it, unless its volume says persistentVolumeReclaimPolicy: Retain", object.name());
  }
  if (object.kind() == "CustomResourceDefinition" || object.kind() == "PersistentVolume" || (object.kind() == "Namespace" && object.group().empty())) {
    return fmt::format("that can't change once the object exists: give it another name. To delete {} would take everything with it that it holds", object.ref().text());
  }
  if (object.kind() == "Job") {
    return fmt::format("a Job's pods can't change while it runs: wait until it has ended (kubectl -n {} get job {}), then it is made anew; or give it a name with the version in it, or {}: migrate as an annotation where it prepares the release",
                       object.namespace_(), object.name(), phase_annotation);
  }
  const auto removal = fmt::format("kubectl -n {} delete {} {}", object.namespace_(), kube::short_kind(object.kind()), object.name());
  return fmt::format("that can't change once the object exists: give it another name{}, or remove it first{}: {}", kube::is_workload(object) ? "" : ", also where it is used",
                     kube::is_workload(object) ? " (its pods go with it)" : "", removal);
}

void await_gone(Cluster& cluster, const std::vector<kube::Object>& objects, const Limits& limits) {
  const auto until = limits.within(going_time);
  for (const auto& object : objects) {
    bool told = false;
    for (;;) {
      const auto live = cluster.api().find(ref_of(object), limits);
      if (!live || kube::Object{*live}.uid() != object.uid()) break;
      const auto finalizers = kube::Object{*live}.finalizers();
      const auto why = finalizers.empty() ? std::string{"its pods have not ended"} : "what still has to be done first: " + finalizers;
      if (!told) cluster.reporter().note(fmt::format("{} is being deleted: waiting until it is gone ({})", object.ref().text(), why));
      told = true;
      limits.check("the wait for an object that is being deleted");
      if (until.deadline.expired()) {
        throw Failure{Exit::failed, fmt::format("{} is being deleted and is still there after {}: {}", object.ref().text(), format_duration(going_time), why),
                      fmt::format("see what holds it: kubectl{} get {} {} -o yaml; then the same command again", object.namespace_().empty() ? "" : " -n " + object.namespace_(),
                                  kube::short_kind(object.kind()), object.name())};
      }
      until.within(look_again_at_going).wait(-1, 0);
    }
  }
}

k8s::ObjectRef ref_of_key(const std::string& key, const std::string& api_version) {
  // "group/Kind/namespace/name"
  std::vector<std::string> parts;
  std::size_t start = 0;
  for (int index = 0; index < 3; ++index) {
    const auto slash = key.find('/', start);
    parts.push_back(key.substr(start, slash - start));
    start = slash + 1;
  }
  return {api_version, parts[1], parts[2], key.substr(start)};
}

void remove_object(RunContext& context, const std::string& key, const std::string& api_version, const std::string& uid, const Limits& limits) {
  auto& api = context.cluster.api();
  const auto ref = ref_of_key(key, api_version);
  const auto live = api.find(ref, limits);
  if (!live) return;
  const kube::Object object{*live};
  const auto set = context.cluster.set();
  // Taken over by another project meanwhile: theirs.
  if (!kube::other_set(object, set).empty() || (!uid.empty() && object.uid() != uid)) return;
  if (uid.empty() && object.label(kube::applyset_part_of) != set.id()) return;
  api.remove(ref, {.uid = object.uid()}, limits);
}

void widen_set(RunContext& context, const Limits& limits) {
  auto& cluster = context.cluster;
  cluster.apply_set_parent(kube::applyset_parent(cluster.set(), values_of(context.next_objects), cluster.set_parent(limits)), limits);
}

void narrow_set(RunContext& context, const Limits& limits) {
  context.cluster.apply_set_parent(kube::applyset_parent(context.cluster.set(), values_of(context.next_objects), {}), limits);
}

}  // namespace codops::ops::kubernetes
