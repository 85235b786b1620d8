#include "lib/ops/kubernetes/scale.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/engine/kubernetes/api.hpp"
#include "lib/kube/replicas.hpp"
#include "lib/kube/window.hpp"
#include "lib/ops/kubernetes/apply.hpp"
#include "lib/ops/kubernetes/deploy.hpp"
#include "lib/ops/kubernetes/plan.hpp"
#include "lib/ops/kubernetes/questions.hpp"
#include "lib/ops/kubernetes/transaction.hpp"

namespace codops::ops::kubernetes {
namespace {

using Json = nlohmann::json;

const release::Release& current_of(const Cluster& cluster, const Observed& observed) {
  const auto* current = observed.snapshot.current();
  if (current != nullptr) return *current;
  throw Failure{Exit::failed, fmt::format("nothing that codops deployed runs in {}", cluster.environment().name), fmt::format("codops deploy {} VERSION", cluster.environment().name)};
}

void refuse_autoscaled(const kube::Object& workload, const std::vector<kube::Object>& autoscalers, const std::string& environment) {
  for (const auto& autoscaler : autoscalers) {
    const auto& spec = autoscaler.json().at("spec");
    const auto& target = spec.at("scaleTargetRef");
    if (autoscaler.namespace_() != workload.namespace_() || target.value("kind", "") != workload.kind() || target.value("name", "") != workload.name()) continue;
    throw Failure{Exit::usage,
                  fmt::format("{} is scaled by {} between {} and {}: it would undo the change", workload.ref().text(), autoscaler.ref().text(), spec.value("minReplicas", 1),
                              spec.value("maxReplicas", 0)),
                  fmt::format("change its minReplicas in the manifests, then: codops deploy {} VERSION", environment)};
  }
}

plan::Plan plan_for(const std::string& verb, const release::Release& current, const release::Release& next, const std::string& token) {
  plan::Plan plan;
  plan.verb = verb;
  plan.environment = next.environment;
  plan.run = token;
  plan.release = next.number;
  plan.version = next.version;
  plan.from = current.number;
  plan.from_version = current.version;
  return plan;
}

plan::Step rollout_step(const std::vector<std::string>& keys, const std::string& text) {
  plan::Step step;
  step.name = step.kind = "rollout";
  step.text = text;
  step.args = Json{{"watched", keys}}.dump();
  step.mutates = false;
  step.phase = plan::Phase::proven;
  return step;
}

Planned plan_scale(Cluster& cluster, const DeployRequest& request, Observed& observed, const std::string& token, const Limits& limits) {
  const auto& current = current_of(cluster, observed);
  Planned planned;
  planned.next = current;
  planned.next.number = observed.snapshot.last_number() + 1;
  planned.objects = observed.current_objects;
  planned.plan = plan_for("scale", current, planned.next, token);
  std::vector<kube::Object> autoscalers;
  Questions questions{cluster, limits};
  ask_about_autoscalers(questions, observed.current_objects, autoscalers);
  questions.answer();
  Json counts = Json::object();
  std::vector<std::string> keys;
  std::string text;
  for (const auto& [name, count] : request.scale) {
    const auto& workload = workload_named(observed.current_objects, name);
    if (workload.kind() != "Deployment" && workload.kind() != "StatefulSet") throw Failure{Exit::usage, fmt::format("{} can't be scaled", workload.ref().text())};
    refuse_autoscaled(workload, autoscalers, cluster.environment().name);
    const auto found = cluster.api().find(ref_of(workload), limits);
    if (!found || kube::Object{*found}.is_going()) throw Failure{Exit::failed, fmt::format("{} was removed", workload.ref().text()), fmt::format("codops deploy {} {}", cluster.environment().name, current.version)};
    const kube::Object live{*found};
    const int before = live.json().at("spec").value("replicas", 1);
    if (before == count) continue;
    auto wanted = live;
    wanted.edit()["spec"]["replicas"] = count;
    planned.diffs.push_back(kube::diff(live, wanted));
    const auto key = key_of(workload);
    counts[key] = {{"to", count}, {"from", before}};
    keys.push_back(key);
    text += fmt::format("{}{} {} → {}", text.empty() ? "~ " : ", ", workload.name(), before, count);
    for (auto& object : planned.objects) {
      // Where the manifest leaves the number open, so does the record: owning it would take it away with the next apply.
      if (key_of(object) == key && object.json().at("spec").contains("replicas")) object.edit()["spec"]["replicas"] = count;
    }
    for (auto& service : planned.next.services) {
      if (service.name == name || service.name == workload.name()) service.replicas = count;
    }
  }
  if (keys.empty()) return planned;
  plan::Step step;
  step.name = step.kind = "scale";
  step.text = text;
  step.args = Json{{"counts", counts}}.dump();
  step.undo = "scale back";
  planned.plan.steps.push_back(std::move(step));
  planned.plan.steps.push_back(rollout_step(keys, "until as many are ready"));
  return planned;
}

Planned plan_restart(Cluster& cluster, const DeployRequest& request, Observed& observed, const std::string& token, const Limits& limits) {
  const auto& current = current_of(cluster, observed);
  Planned planned;
  planned.next = current;
  planned.objects = observed.current_objects;
  planned.plan = plan_for("restart", current, current, token);
  std::vector<std::string> keys, windows, names;
  Json was = Json::object();
  const auto add = [&](const kube::Object& workload) {
    const auto live = cluster.api().find(ref_of(workload), limits);
    if (!live || kube::Object{*live}.is_going()) throw Failure{Exit::failed, fmt::format("{} was removed", workload.ref().text()), fmt::format("codops deploy {} {}", cluster.environment().name, current.version)};
    if (!kube::refuse_early({kube::Object{*live}}).empty()) {
      throw Failure{Exit::failed, fmt::format("{} was paused by hand: its pods do not change", workload.ref().text()),
                    fmt::format("nothing was changed; first: kubectl -n {} rollout resume {}", workload.namespace_(), workload.ref().text())};
    }
    keys.push_back(key_of(workload));
    names.push_back(workload.name());
    was[keys.back()] = live->at("spec").at("template").value("/metadata/annotations/kubectl.kubernetes.io~1restartedAt"_json_pointer, Json());
    if (kube::window_for(workload, cluster.environment().monitor)) windows.push_back(keys.back());
    const auto down = why_not_beside(kube::Object{*live});
    if (!down.empty()) planned.plan.downtime.push_back(down);
  };
  if (request.restart.empty()) {
    // Without a name: all that roll. What holds data is named or left alone.
    for (const auto& object : observed.current_objects) {
      if (object.kind() == "Deployment" && why_not_beside(object).empty()) add(object);
    }
  }
  for (const auto& name : request.restart) {
    const auto& workload = workload_named(observed.current_objects, name);
    if (workload.kind() == "Job") throw Failure{Exit::usage, fmt::format("{} runs once: there is nothing to restart", workload.ref().text())};
    add(workload);
  }
  if (keys.empty()) return planned;
  plan::Step step;
  step.name = "restart";
  step.kind = "apply";
  step.text = fmt::format("~ new pods of {}", fmt::join(names, ", "));
  step.args = Json{{"changed", Json::array()}, {"added", Json::array()}, {"windows", windows}, {"restarted", keys}, {"was", was}}.dump();
  step.undo = "back to the pods before";
  step.phase = plan::Phase::moved;
  planned.plan.steps.push_back(std::move(step));
  planned.plan.steps.push_back(rollout_step(keys, fmt::format("{}", fmt::join(names, ", "))));
  if (!windows.empty()) {
    plan::Step settle;
    settle.name = settle.kind = "settle";
    settle.text = "the old pods' window ends";
    settle.args = Json{{"windows", windows}}.dump();
    settle.phase = plan::Phase::proven;
    planned.plan.steps.push_back(std::move(settle));
  }
  return planned;
}

using Decide = Planned (*)(Cluster&, const DeployRequest&, Observed&, const std::string&, const Limits&);

DeployResult change(Cluster& cluster, const DeployRequest& request, Decide decide, const Limits& limits) {
  if (request.dry_run) {
    auto observed = observe_state(cluster, limits);
    cluster.require_owner(observed.snapshot);
    return result_for(cluster, decide(cluster, request, observed, "dry-run", limits), observed, {}, true);
  }
  Transaction transaction{cluster, request.command, request.lock_wait, limits};
  const auto planned = decide(cluster, request, transaction.observed(), transaction.token(), limits);
  auto result = result_for(cluster, planned, transaction.observed(), {}, false);
  if (planned.plan.empty()) return result;
  if (request.show) request.show(result.plan_text);
  require_consent(cluster, planned, request.allow_downtime, request.confirm);
  result.run = transaction.run(planned, {}, false, limits);
  if (result.run.exit == Exit::ok) transaction.prune(limits);
  return result;
}

class ScaleStep final : public plan::Action {
 public:
  explicit ScaleStep(RunContext& context) : context_{context} {}
  std::string perform(const plan::Step& step, const Limits& limits) override {
    set(step, "to", context_.next_objects, limits);
    return "told the cluster";
  }
  void undo(const plan::Step& step, const Limits& limits) override { set(step, "from", context_.current_objects, limits); }

 private:
  // Another hand has said a number meanwhile, where the release says none.
  bool is_changed_since(const kube::Object& object, int written, const Limits& limits) {
    if (kube::replicas_of(object)) return false;
    const auto live = context_.cluster.api().find(ref_of(object), limits);
    return live && kube::replicas_of(kube::Object{*live}) != written;
  }
  void set(const plan::Step& step, const char* which, const ObjectsByKey& objects, const Limits& limits) {
    const auto args = Json::parse(step.args);
    for (const auto& [key, count] : args.at("counts").items()) {
      const auto object = objects.find(key);
      if (object == objects.end()) continue;
      if (std::string_view{which} == "from" && is_changed_since(object->second, count.at("to").get<int>(), limits)) continue;
      context_.cluster.api().set_scale(ref_of(object->second), count.at(which).get<int>(), limits);
      // The record's own number as well, or the next deploy would find a stranger's.
      if (object->second.json().at("spec").contains("replicas")) apply_objects(context_, {object->second}, Conflicts::refuse, limits);
      else if (const auto live = context_.cluster.api().find(ref_of(object->second), limits)) context_.generations[key] = kube::Object{*live}.generation();
    }
  }
  RunContext& context_;
};

}  // namespace

DeployResult scale(Cluster& cluster, const DeployRequest& request, const Limits& limits) { return change(cluster, request, plan_scale, limits); }
DeployResult restart(Cluster& cluster, const DeployRequest& request, const Limits& limits) { return change(cluster, request, plan_restart, limits); }

std::unique_ptr<plan::Action> scale_action(RunContext& context) { return std::make_unique<ScaleStep>(context); }

}  // namespace codops::ops::kubernetes
