#include "lib/ops/kubernetes/plan.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "lib/base/units.hpp"
#include "lib/kube/job_end.hpp"
#include "lib/kube/replicas.hpp"
#include "lib/kube/rollout.hpp"
#include "lib/kube/service_address.hpp"
#include "lib/kube/window.hpp"
#include "lib/kube/written_whole.hpp"
#include "lib/ops/kubernetes/followers.hpp"

namespace codops::ops::kubernetes {
namespace {

using Json = nlohmann::json;
using kube::Sign;

plan::Step step(std::string name, std::string text, Json args, plan::Phase phase) {
  plan::Step made;
  made.kind = name;
  made.name = std::move(name);
  made.text = std::move(text);
  made.args = args.dump();
  made.phase = phase;
  return made;
}

std::string counted(std::size_t count, std::string_view what) { return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s"); }

// "2 changed, 1 new"
std::string changes_text(std::size_t changed, std::size_t added) {
  if (added == 0) return fmt::format("~ {} changed", counted(changed, "object"));
  if (changed == 0) return fmt::format("+ {} new", counted(added, "object"));
  return fmt::format("~ {} changed, + {} new", counted(changed, "object"), added);
}

// Fields that only another tool's entry kept: they go with the take-over, which a dry run can't show.
void add_drops(kube::ObjectDiff& diff, const std::vector<std::string>& drops) {
  for (const auto& field : drops) diff.changes.push_back({Sign::removed, field, {}, {}, false});
  if (!drops.empty() && diff.sign == Sign::same) diff.sign = Sign::changed;
}

bool takes_from_others(const kube::Object& live, const kube::Object& wanted) {
  const auto conflicts = kube::conflicts_of(live, wanted, "codops");
  return std::any_of(conflicts.begin(), conflicts.end(), [](const auto& conflict) { return conflict.manager != kube::window_manager; });
}

bool needs_window(const kube::ObjectDiff& diff) { return diff.sign == Sign::changed && diff.new_pods; }

struct Sorted {
  std::vector<std::string> changed, added, restarted, windows, left_open, adopted, watched;
  Json was = Json::object();  // key → the former restart's time
  Json counts = Json::object();  // key → replicas that run, where the record leaves the number open
  std::vector<std::string> rolled;  // names for people
};

// Nothing that serves requests or starts the application: what a migration may need to be there.
bool may_come_first(const kube::Object& object) {
  static const std::set<std::string> later{"Deployment", "DaemonSet", "ReplicaSet", "Pod", "Job", "CronJob", "HorizontalPodAutoscaler", "Ingress", "PodDisruptionBudget",
                                           "APIService", "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"};
  return !later.contains(object.kind());
}

bool is_used_by(const kube::Object& object, const std::vector<kube::Object>& jobs) {
  if (object.kind() != "ConfigMap" && object.kind() != "Secret" && object.kind() != "ServiceAccount") return false;
  const auto quoted = "\"" + object.name() + "\"";
  return std::any_of(jobs.begin(), jobs.end(), [&](const auto& job) { return job.namespace_() == object.namespace_() && job.dump().find(quoted) != std::string::npos; });
}

using Keys = std::vector<std::string>;

Keys only(Keys keys, const Keys& these) {
  std::erase_if(keys, [&](const auto& key) { return std::find(these.begin(), these.end(), key) == these.end(); });
  return keys;
}

Keys without(Keys keys, const Keys& these) {
  std::erase_if(keys, [&](const auto& key) { return std::find(these.begin(), these.end(), key) != these.end(); });
  return keys;
}

void add_addresses(plan::Step& step, const std::map<std::string, std::string>& addresses) {
  if (addresses.empty()) return;
  auto args = Json::parse(step.args);
  args["addresses"] = addresses;
  step.args = args.dump();
}

std::string rollout_text(const std::vector<std::string>& names) {
  constexpr std::size_t shown = 4;
  std::string text;
  for (std::size_t index = 0; index < names.size() && index < shown; ++index) text += (index == 0 ? "" : ", ") + names[index];
  if (names.size() > shown) text += fmt::format(" and {} more", names.size() - shown);
  return text;
}

}  // namespace

std::string why_not_beside(const kube::Object& workload) {
  const auto spec = workload.json().value("spec", Json::object());
  if (workload.kind() == "Deployment" && spec.value("/strategy/type"_json_pointer, "") == "Recreate") {
    return fmt::format("{}: strategy Recreate ends the old pods before new ones start", workload.ref().text());
  }
  if (workload.kind() == "StatefulSet" && spec.value("replicas", 1) == 1) return fmt::format("{}: its only pod is replaced", workload.ref().text());
  return {};
}

Planned plan_release(const release::Release& next, const std::vector<kube::Object>& objects, const std::vector<Trial>& trials, const Observed& observed,
                     const kube::ApplySet& set, const PlanOptions& options) {
  Planned planned;
  planned.next = next;
  planned.objects = objects;
  auto& plan = planned.plan;
  const auto* current = observed.snapshot.current();
  plan.verb = options.verb;
  plan.environment = next.environment;
  plan.run = options.token;
  plan.release = next.number;
  plan.version = next.version;
  if (current != nullptr) {
    plan.from = current->number;
    plan.from_version = current->version;
  }
  std::map<kube::Ref, const kube::Object*> on_record;
  for (const auto& object : observed.current_objects) on_record.emplace(object.ref(), &object);
  Json assigned = Json::object();  // key → what the server had given the Service that changes
  const auto remember_address = [&](const kube::Object& live) {
    if (auto address = kube::address_of(live); !address.empty()) assigned[key_of(live)] = std::move(address);
  };

  Sorted sorted;
  const auto open_window = [&](const kube::Object& object) {
    std::string note;
    const auto window = kube::window_for(object, options.monitor, &note);
    if (window) {
      sorted.windows.push_back(key_of(object));
      note = window->text;
    }
    if (!note.empty()) plan.notes.push_back(fmt::format("{}: {}", object.ref().text(), note));
  };
  for (std::size_t index = 0; index < objects.size(); ++index) {
    const auto& object = objects[index];
    const auto* live = observed.find(object.ref());
    auto diff = kube::diff(live == nullptr ? kube::Object{} : *live, trials[index].result.empty() ? object : trials[index].result);
    // It did its work in the release that serves, and is gone as it was told to be.
    if (const auto ran = on_record.find(object.ref()); live == nullptr && ran != on_record.end() && kube::tidies_itself_up(object) && ran->second->json() == object.json()) {
      diff.sign = Sign::same;
      plan.notes.push_back(fmt::format("{} has run in this form already and tidied itself up: it does not run again", object.ref().text()));
    }
    if (!trials[index].note.empty()) plan.notes.push_back(fmt::format("{}: {}", object.ref().text(), trials[index].note));
    for (const auto& warning : trials[index].warnings) plan.warnings.push_back(fmt::format("{}: {}", object.ref().text(), warning));
    const auto adoption = live == nullptr ? std::nullopt : kube::adoption_of(*live, object, "codops");
    if (adoption) {
      add_drops(diff, adoption->drops);
      plan.notes.push_back(adoption->text);
      sorted.adopted.push_back(key_of(object));
      if (diff.sign == Sign::same) diff.sign = Sign::changed;
    } else if (live != nullptr && live->label(kube::applyset_part_of) != set.id() && diff.sign == Sign::changed && !on_record.contains(object.ref())) {
      plan.notes.push_back(fmt::format("{} is there already and becomes part of this environment", object.ref().text()));
    }
    const bool again = options.force && kube::is_workload(object) && object.kind() != "Job" && live != nullptr && diff.sign == Sign::same;
    if (again) {
      sorted.restarted.push_back(key_of(object));
      sorted.was[sorted.restarted.back()] = live->json().at("spec").at("template").value("/metadata/annotations/kubectl.kubernetes.io~1restartedAt"_json_pointer, Json());
      open_window(object);
    }
    if (diff.sign == Sign::added) sorted.added.push_back(key_of(object));
    if (diff.sign == Sign::changed) {
      sorted.changed.push_back(key_of(object));
      remember_address(*live);
      // The record says nothing of what others wrote into it.
      const auto recorded = on_record.find(object.ref());
      const bool by_record = recorded != on_record.end() && !adoption && !takes_from_others(*live, object) && !kube::others_changed(*live, *recorded->second);
      if (!by_record) planned.before.push_back(kube::as_it_was(*live));
      const auto count = kube::replicas_of(*live);
      // Where this release leaves it open as well nothing is written, and nothing has to be written back.
      if (count && kube::replicas_of(object) && recorded != on_record.end() && !kube::replicas_of(*recorded->second)) sorted.counts[key_of(object)] = *count;
      // What is recreated has no rolling window, and the API refuses one until the manifest is applied.
      if (needs_window(diff) && live->json().at("spec").value("/strategy/type"_json_pointer, "") != "Recreate") open_window(object);
    }
    if ((diff.new_pods && diff.sign == Sign::changed) || again) {
      // As it will be: what a manifest leaves open may have been set by hand.
      const auto down = why_not_beside(trials[index].result.empty() ? object : trials[index].result);
      if (!down.empty()) plan.downtime.push_back(down);
    }
    if (diff.sign != Sign::same || again) {
      if (kube::is_workload(object)) sorted.rolled.push_back(object.name());
      sorted.watched.push_back(key_of(object));
    } else {
      plan.untouched.push_back(object.ref().text());
      // Of a run whose journal is gone.
      if (live != nullptr && kube::has_window(*live)) sorted.left_open.push_back(key_of(object));
    }
    planned.diffs.push_back(std::move(diff));
  }
  auto prune = kube::prune_set(observed.members, objects, set, {});
  for (const auto& gone : prune.gone) planned.pruned.push_back(kube::diff(gone, kube::Object{}));
  for (const auto& gone : prune.gone) remember_address(gone);
  planned.kept = std::move(prune.kept);
  for (const auto& kept : planned.kept) plan.notes.push_back(fmt::format("{} is no longer in the manifests and stays: {}", kept.object.ref().text(), kept.why));

  const auto followers = followers_of(objects, planned.diffs, sorted.restarted, prune.gone, observed);
  plan.downtime.insert(plan.downtime.end(), followers.gaps.begin(), followers.gaps.end());
  const bool changes = !sorted.changed.empty() || !sorted.added.empty() || !sorted.restarted.empty();
  const bool same_release = current != nullptr && current->version == next.version;
  if (!changes && prune.gone.empty() && sorted.left_open.empty() && same_release) return planned;

  for (std::size_t index = 0; index < options.pre_hooks.size(); ++index) {
    auto made = step(index == 0 ? "hook" : fmt::format("hook-{}", index + 1), options.pre_hooks[index], {{"index", index}}, plan::Phase::before);
    made.kind = "hook";
    made.no_undo = "what a hook did is its own business";
    plan.steps.push_back(std::move(made));
  }
  if (!options.backup.empty()) {
    auto made = step("backup", options.backup, Json::object(), plan::Phase::before);
    made.no_undo = "it stays";
    plan.steps.push_back(std::move(made));
  }
  if (!options.migrate.empty()) {
    std::vector<std::string> first_changed, first_added;
    for (std::size_t index = 0; index < objects.size(); ++index) {
      const auto sign = planned.diffs[index].sign;
      if (sign == Sign::added && may_come_first(objects[index])) first_added.push_back(key_of(objects[index]));
      if (sign == Sign::changed && is_used_by(objects[index], options.migrations)) first_changed.push_back(key_of(objects[index]));
    }
    if (!first_changed.empty() || !first_added.empty()) {
      auto made = step("prepare", changes_text(first_changed.size(), first_added.size()) + " that the migration needs", {{"changed", first_changed}, {"added", first_added}, {"wait", true}},
                       plan::Phase::before);
      made.kind = "apply";
      made.undo = current == nullptr ? "remove what is new" : fmt::format("re-apply release {}", current->number);
      plan.steps.push_back(std::move(made));
    }
    auto made = step("migrate", options.migrate, Json::object(), plan::Phase::before);
    made.no_undo = "what it committed stays";
    plan.steps.push_back(std::move(made));
  }
  const auto following = followers.keys();
  if (changes) {
    const auto changed = without(sorted.changed, following);
    auto made = step("apply", changes_text(changed.size() + sorted.restarted.size(), sorted.added.size()),
                     {{"changed", changed}, {"added", sorted.added}, {"windows", sorted.windows}, {"adopted", without(sorted.adopted, following)}, {"restarted", sorted.restarted}, {"was", sorted.was},
                      {"counts", sorted.counts}, {"assigned", assigned}, {"moves", followers.moved_first}},
                     plan::Phase::moved);
    if (options.verb == "rollback") add_addresses(made, former_addresses(next, objects, planned.diffs, observed));
    made.undo = current == nullptr ? "remove what is new" : fmt::format("re-apply release {}", current->number);
    plan.steps.push_back(std::move(made));
    auto rollout = step("rollout", rollout_text(sorted.rolled), {{"watched", without(sorted.watched, following)}}, plan::Phase::moved);
    if (sorted.rolled.empty()) rollout.text = "until everything is as it should be";
    rollout.mutates = false;
    plan.steps.push_back(std::move(rollout));
  }
  if (!following.empty()) {
    auto made = step("follow", fmt::format("~ {} to the new pods", rollout_text(followers.names)),
                     {{"changed", following}, {"adopted", only(sorted.adopted, following)}, {"assigned", assigned}, {"moves", true}, {"leads", followers.services}, {"held", sorted.watched}}, plan::Phase::moved);
    made.kind = "apply";
    if (options.verb == "rollback") add_addresses(made, former_addresses(next, objects, planned.diffs, observed));
    made.undo = current == nullptr ? "to what it led to before" : fmt::format("re-apply release {}", current->number);
    plan.steps.push_back(std::move(made));
  }
  if (options.front_door) {
    auto made = step("prove", "ten connections through the front door", Json::object(), plan::Phase::moved);
    made.mutates = false;
    plan.steps.push_back(std::move(made));
  }
  if (!plan.steps.empty() && changes) plan.steps.back().phase = plan::Phase::proven;
  sorted.left_open.insert(sorted.left_open.end(), sorted.windows.begin(), sorted.windows.end());
  if (!sorted.left_open.empty()) {
    auto made = step("settle", "the old pods' window ends", {{"windows", sorted.left_open}}, plan::Phase::proven);
    plan.steps.push_back(std::move(made));
  }
  if (!prune.gone.empty()) {
    Json gone = Json::array();
    for (const auto& object : prune.gone) {
      gone.push_back({{"key", key_of(object)}, {"apiVersion", object.api_version()}, {"uid", object.uid()}});
      if (const auto count = kube::replicas_of(object)) gone.back()["replicas"] = *count;
    }
    auto made = step("prune", fmt::format("- {}", counted(prune.gone.size(), "object")), {{"gone", gone}, {"assigned", assigned}}, plan::Phase::proven);
    made.undo = current == nullptr ? "" : fmt::format("re-apply release {}", current->number);
    if (made.undo.empty()) made.no_undo = "no release has it on record";
    plan.steps.push_back(std::move(made));
  }
  if (plan.steps.empty()) {
    // The same objects under another version: a record is all that changes.
    plan.steps.push_back(step("record", "the version alone: no object changes", Json::object(), plan::Phase::proven));
    plan.steps.back().mutates = false;
  }
  return planned;
}

}  // namespace codops::ops::kubernetes
