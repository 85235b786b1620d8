#include "lib/ops/kubernetes/deploy.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/base/parallel.hpp"
#include "lib/engine/kubernetes/api.hpp"
#include "lib/kube/window.hpp"
#include "lib/ops/deploy_plan.hpp"
#include "lib/ops/kubernetes/apply.hpp"
#include "lib/ops/kubernetes/companions.hpp"
#include "lib/ops/kubernetes/desired.hpp"
#include "lib/ops/kubernetes/plan.hpp"
#include "lib/ops/kubernetes/preflight.hpp"
#include "lib/ops/kubernetes/questions.hpp"
#include "lib/ops/kubernetes/rights.hpp"
#include "lib/ops/kubernetes/scale.hpp"
#include "lib/ops/kubernetes/transaction.hpp"
#include "lib/ops/version_name.hpp"

namespace codops::ops::kubernetes {
namespace {

using release::Release;

Release release_for(const Cluster& cluster, const Desired& desired, const Observed& observed) {
  Release next;
  next.number = observed.snapshot.last_number() + 1;
  next.version = desired.version;
  next.environment = cluster.environment().name;
  next.project = cluster.project();
  next.created = observed.now;
  next.services = desired.services;
  return next;
}

PlanOptions options_of(const Cluster& cluster, const std::string& verb, const std::string& token) {
  const auto& environment = cluster.environment();
  PlanOptions options;
  options.verb = verb;
  options.monitor = environment.monitor;
  options.front_door = !environment.front_door.url.empty();
  options.token = token;
  return options;
}

void add_advice(Planned& planned, const std::vector<kube::Object>& objects) {
  for (const auto& advice : kube::advise(objects)) {
    auto text = fmt::format("{}{}", advice.at.text().empty() ? std::string{} : advice.at.text() + ": ", advice.what);
    for (const auto& line : advice.lines) text += "\n             " + line;
    planned.plan.warnings.push_back(std::move(text));
  }
}

std::string question_of(const Planned& planned) { return fmt::format("{} {} to {}?", planned.plan.verb, planned.plan.version, planned.plan.environment); }

// Null: no manifest defines it.
const kube::Object* definition_of_namespace(const Cluster& cluster, const Desired& desired) {
  for (const auto& object : desired.objects) {
    if (object.kind() == "Namespace" && object.group().empty() && object.name() == cluster.namespace_()) return &object;
  }
  return nullptr;
}

// The lock and the record live in the namespace: it has to be there before anything else.
void make_namespace(Cluster& cluster, const Desired& desired, const Limits& limits) {
  const auto* object = definition_of_namespace(cluster, desired);
  if (object == nullptr) throw no_namespace(cluster.namespace_());
  cluster.api().apply(object->json(), {}, limits);
  cluster.reporter().note(fmt::format("made the namespace {}", cluster.namespace_()));
}

struct Prepared {
  Desired desired;
  Planned planned;
  Companies companies;
};

// `deploy ENV backend=v1.2.0`: that workload from the manifests with what it refers to, everything else as it serves.
Desired one_workload_moved(Cluster& cluster, const DeployRequest& request, const Observed& observed, const Limits& limits) {
  const auto* current = observed.snapshot.current();
  if (current == nullptr) {
    throw Failure{Exit::failed, fmt::format("nothing that codops deployed runs in {}", cluster.environment().name), fmt::format("codops deploy {} VERSION", cluster.environment().name)};
  }
  Desired desired;
  desired.version = current->version;
  desired.objects = observed.current_objects;
  for (const auto& [name, version] : request.services) {
    require_version(version);
    const auto fresh = load_desired(cluster, version, limits);
    const auto& moved = workload_named(fresh.objects, name);
    const auto text = moved.dump();
    for (const auto& object : fresh.objects) {
      const bool referred = (object.kind() == "ConfigMap" || object.kind() == "Secret") && text.find("\"" + object.name() + "\"") != std::string::npos;
      if (object.ref() != moved.ref() && !referred) continue;
      std::erase_if(desired.objects, [&](const auto& one) { return one.ref() == object.ref(); });
      desired.objects.push_back(object);
    }
    desired.warnings.insert(desired.warnings.end(), fresh.warnings.begin(), fresh.warnings.end());
    desired.notes.insert(desired.notes.end(), fresh.notes.begin(), fresh.notes.end());
    desired.digests.insert(fresh.digests.begin(), fresh.digests.end());
    desired.version = with_service(desired.version, name, version);
  }
  kube::sort_for_apply(desired.objects);
  desired.images = kube::images_of(desired.objects);
  return desired;
}

// What is being deleted is no more: it is waited for, and made anew. A dry run says so.
std::vector<std::string> settle_going(Cluster& cluster, Observed& observed, const std::vector<kube::Object>& wanted, bool dry_run, const Limits& limits) {
  std::vector<kube::Object> going;
  std::vector<std::string> notes;
  for (const auto& object : wanted) {
    const auto* live = observed.find(object.ref());
    if (live == nullptr || !live->is_going()) continue;
    going.push_back(*live);
    const auto finalizers = live->finalizers();
    notes.push_back(fmt::format("{} was being deleted{}: it is waited for and made anew", object.ref().text(), finalizers.empty() ? "" : fmt::format(" (finalizers: {})", finalizers)));
  }
  if (!dry_run) await_gone(cluster, going, limits);
  for (const auto& object : going) {
    observed.live.erase(object.ref());
    std::erase_if(observed.members, [&](const auto& member) { return member.uid() == object.uid(); });
  }
  return notes;
}

Prepared prepare(Cluster& cluster, const DeployRequest& request, Observed& observed, const std::string& token, const Limits& limits) {
  Prepared prepared{request.services.empty() ? load_desired(cluster, request.version, limits) : one_workload_moved(cluster, request, observed, limits), {}, {}};
  auto& desired = prepared.desired;
  Admission admission{cluster, limits};
  std::vector<kube::Object> autoscalers;
  observe_objects(cluster, observed, desired.objects, limits, [&](Questions& questions) {
    ask_about_autoscalers(questions, desired.objects, autoscalers);
    ask_beside(admission, questions, desired.objects, observed);
  });
  if (!request.force_conflicts) {
    refuse_other_sets(cluster, desired.objects, observed, "give it another name or namespace here, or take it over: --force-conflicts", limits);
  }
  const auto going = settle_going(cluster, observed, desired.objects, request.dry_run, limits);
  settle_replicas(cluster, desired, observed, std::move(autoscalers));
  const auto trials = try_objects(cluster, desired.objects, desired.later, observed, request.force_conflicts, admission, limits);
  auto options = options_of(cluster, request.verb, token);
  options.force = request.force;
  prepared.companies = plan_companions(cluster, desired, observed, !request.skip_backup && request.take_backup != nullptr, !request.skip_migrate, limits);
  options.backup = prepared.companies.backup_text;
  options.migrate = prepared.companies.migrate_text;
  options.migrations = desired.migrations;
  for (const auto& hook : cluster.environment().hooks.pre_deploy) options.pre_hooks.push_back(hook.shown);
  prepared.planned = plan_release(release_for(cluster, desired, observed), desired.objects, trials, observed, cluster.set(), options);
  refuse_paused(prepared.planned, observed);
  auto& plan = prepared.planned.plan;
  plan.notes.insert(plan.notes.begin(), desired.notes.begin(), desired.notes.end());
  plan.notes.insert(plan.notes.end(), going.begin(), going.end());
  plan.warnings.insert(plan.warnings.begin(), desired.warnings.begin(), desired.warnings.end());
  if (!prepared.companies.warning.empty()) plan.warnings.push_back(prepared.companies.warning);
  add_advice(prepared.planned, desired.objects);
  warn_of_quotas(cluster, prepared.planned, limits);
  require_permissions(cluster, prepared.planned, limits);
  return prepared;
}

}  // namespace

std::string rendered(Cluster& cluster, const std::string& version, const Limits& limits) {
  require_version(version);
  auto desired = load_desired(cluster, version, limits);
  auto observed = observe_state(cluster, limits);
  std::vector<kube::Object> autoscalers;
  observe_objects(cluster, observed, desired.objects, limits, [&](Questions& questions) { ask_about_autoscalers(questions, desired.objects, autoscalers); });
  settle_replicas(cluster, desired, observed, std::move(autoscalers));
  nlohmann::json list{{"apiVersion", "v1"}, {"kind", "List"}, {"items", nlohmann::json::array()}};
  for (const auto& object : desired.objects) list["items"].push_back(object.json());
  return list.dump(2) + "\n";
}

DeployResult result_for(Cluster& cluster, const Planned& planned, const Observed& observed, const std::vector<kube::ContainerImage>& images, bool dry_run) {
  DeployResult result;
  result.dry_run = dry_run;
  const auto* current = observed.snapshot.current();
  if (current != nullptr) result.previous = fmt::format("{} (release {})", current->version, current->number);
  result.plan_text = plan_text(planned, cluster.shown(), current, images);
  result.run.plan = planned.plan;
  result.run.no_op = planned.plan.empty();
  return result;
}

void require_consent(const Cluster& cluster, const Planned& planned, bool allow_downtime, const std::function<bool(const std::string&)>& confirm) {
  const auto& down = planned.plan.downtime;
  if (!down.empty() && !allow_downtime && (!confirm || !confirm(fmt::format("{} has downtime ({}). Go on?", planned.plan.verb, fmt::join(down, "; "))))) {
    throw Failure{Exit::failed, fmt::format("this {} has downtime: {}", planned.plan.verb, fmt::join(down, "; ")), "nothing was changed; --allow-downtime accepts it"};
  }
  if (!cluster.environment().protected_) return;
  if (!confirm || !confirm(question_of(planned))) throw Failure{Exit::failed, "not confirmed", "nothing was changed; --yes confirms without asking"};
}

DeployResult deploy(Cluster& cluster, const DeployRequest& request, const Limits& limits) {
  if (request.verb == "scale") return scale(cluster, request, limits);
  if (request.verb == "restart") return restart(cluster, request, limits);
  if (request.services.empty()) require_version(request.version);
  if (request.dry_run) {
    auto observed = observe_state(cluster, limits);
    cluster.require_owner(observed.snapshot);
    observed.namespace_exists = cluster.namespace_exists(limits);
    const auto prepared = prepare(cluster, request, observed, "dry-run", limits);
    if (!observed.namespace_exists && definition_of_namespace(cluster, prepared.desired) == nullptr) throw no_namespace(cluster.namespace_());
    return result_for(cluster, prepared.planned, observed, prepared.desired.images, true);
  }
  // What is wrong with files and arguments is found before anything is locked.
  if (request.services.empty()) {
    const auto desired = load_desired(cluster, request.version, limits);
    auto all = desired.objects;
    all.insert(all.end(), desired.migrations.begin(), desired.migrations.end());
    std::vector<Right> missing;
    bool exists = false;
    in_parallel({[&] { missing = missing_of(cluster, rights_of_deploy(cluster, all, limits), limits); }, [&] { exists = cluster.namespace_exists(limits); }});
    refuse_missing(missing);
    if (!exists) make_namespace(cluster, desired, limits);
  }
  Transaction transaction{cluster, request.command, request.lock_wait, limits};
  auto prepared = prepare(cluster, request, transaction.observed(), transaction.token(), limits);
  auto result = result_for(cluster, prepared.planned, transaction.observed(), prepared.desired.images, false);
  if (prepared.planned.plan.empty()) return result;
  if (request.show) request.show(result.plan_text);
  require_consent(cluster, prepared.planned, request.allow_downtime, request.confirm);
  result.run = transaction.run(prepared.planned, companions_of(cluster, prepared.companies, prepared.desired, prepared.planned, request.take_backup), request.force_conflicts, limits);
  if (result.run.exit == Exit::ok) transaction.prune(limits);
  return result;
}

DeployResult rollback(Cluster& cluster, const RollbackRequest& request, const Limits& limits) {
  const auto planned_for = [&](Observed& observed, const std::string& token) {
    const auto target = rollback_target(observed.snapshot, request.to);
    auto objects = objects_of(cluster.store().load_specs(target, limits));
    std::vector<kube::Object> autoscalers;
    observe_objects(cluster, observed, objects, limits, [&](Questions& questions) { ask_about_autoscalers(questions, objects, autoscalers); });
    leave_scaled(cluster, objects, observed, std::move(autoscalers));
    refuse_other_sets(cluster, objects, observed, fmt::format("a deploy can take it over: codops deploy {} VERSION --force-conflicts", cluster.environment().name), limits);
    settle_going(cluster, observed, objects, request.dry_run, limits);
    // A stored release is applied over whatever was changed since: that is what going back means.
    Admission admission{cluster, limits};
    const auto trials = try_objects(cluster, objects, {}, observed, true, admission, limits);
    auto planned = plan_release(target, objects, trials, observed, cluster.set(), options_of(cluster, "rollback", token));
    refuse_paused(planned, observed);
    return planned;
  };
  if (request.dry_run) {
    auto observed = observe_state(cluster, limits);
    cluster.require_owner(observed.snapshot);
    const auto planned = planned_for(observed, "dry-run");
    return result_for(cluster, planned, observed, kube::images_of(planned.objects), true);
  }
  Transaction transaction{cluster, request.command, request.lock_wait, limits};
  if (const auto* current = transaction.observed().snapshot.current(); !request.to && was_rolled_back(transaction.recovery())) {
    return rolled_back_already(transaction.recovery(), current == nullptr ? std::nullopt : std::optional{*current});
  }
  const auto planned = planned_for(transaction.observed(), transaction.token());
  auto result = result_for(cluster, planned, transaction.observed(), kube::images_of(planned.objects), false);
  if (planned.plan.empty()) return result;
  if (request.show) request.show(result.plan_text);
  require_consent(cluster, planned, request.allow_downtime, request.confirm);
  require_permissions(cluster, planned, limits);
  result.run = transaction.run(planned, {}, true, limits);
  if (result.run.exit == Exit::ok) transaction.prune(limits);
  return result;
}

}  // namespace codops::ops::kubernetes
