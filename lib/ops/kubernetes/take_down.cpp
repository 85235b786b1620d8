// `down` as a journalled run: what goes is written down first, with uids, so that whoever comes after a death removes that and nothing else.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/engine/kubernetes/api.hpp"
#include "lib/ops/kubernetes/apply.hpp"
#include "lib/ops/kubernetes/transaction.hpp"
#include "lib/ops/run_record.hpp"
#include "lib/plan/fault.hpp"

namespace codops::ops::kubernetes {
namespace {

using Json = nlohmann::json;

plan::Plan plan_of(const Cluster& cluster, const std::string& token, const release::Release* current, const std::vector<kube::Object>& gone) {
  plan::Plan plan;
  plan.verb = "down";
  plan.environment = cluster.environment().name;
  plan.run = token;
  if (current != nullptr) {
    plan.release = current->number;
    plan.version = current->version;
  }
  Json objects = Json::array();
  for (const auto& object : gone) objects.push_back({{"key", key_of(object)}, {"apiVersion", object.api_version()}, {"uid", object.uid()}});
  plan::Step step;
  step.name = step.kind = "remove";
  step.text = fmt::format("- {} objects", gone.size());
  step.args = Json{{"gone", std::move(objects)}}.dump();
  step.no_undo = "what is removed is gone";
  plan.steps.push_back(std::move(step));
  return plan;
}

struct Going {
  kube::Object object;  // its name and uid alone
  bool last{false};     // a Namespace: the lock and the record are in it
  bool claim{false};
};

std::vector<Going> going_of(const plan::Plan& plan) {
  std::vector<Going> all;
  const auto args = Json::parse(plan.steps.front().args);
  for (const auto& gone : args.at("gone")) {
    const auto ref = ref_of_key(gone.at("key"), gone.at("apiVersion"));
    kube::Object object{Json{{"apiVersion", ref.api_version}, {"kind", ref.kind}, {"metadata", {{"name", ref.name}, {"namespace", ref.namespace_}, {"uid", gone.at("uid")}}}}};
    all.push_back({std::move(object), ref.kind == "Namespace" && ref.api_version == "v1", ref.kind == "PersistentVolumeClaim"});
  }
  return all;
}

}  // namespace

void Transaction::take_down(const std::vector<kube::Object>& gone, const Limits& limits) {
  const auto plan = plan_of(cluster_, token_, observed_.snapshot.current(), gone);
  const auto started = cluster_.now();
  auto run_journal = journal(run_name(started, token_, newest_run(observed_.snapshot)), 1);
  lock_->write_whole({run_journal.entry_file("planned", {}, plan.verb + " " + plan.version, to_json(plan)),
                      run_journal.entry_file("doing", plan.steps.front().name, plan.steps.front().text)}, limits);
  plan::Faults{}.at("after", "plan");
  finish_down(plan, std::move(run_journal), started, {}, limits);
}

void Transaction::finish_down(const plan::Plan& plan, plan::Journal journal, WallTime started, const std::string& message, const Limits& limits) {
  const auto going = going_of(plan);
  auto& api = cluster_.api();
  try {
    const plan::Faults faults;
    for (const auto& one : going) {
      if (one.last) continue;
      limits.check("the removal");
      still_holding(limits);
      api.remove(ref_of(one.object), {.uid = one.object.uid()}, limits);
      faults.at("in", "remove");
    }
    faults.at("before", "record");
    auto entry = entry_for(plan, started, owner_);
    entry.result = "ok";
    entry.run = journal.run();
    entry.message = message;
    record(entry, limits, {journal.entry_file("ended", {}, "ok")});
  } catch (Failure& failure) {
    failure.with_hint(fmt::format("a part is removed already; the next command that changes something finishes it, or: codops resume {}", cluster_.environment().name));
    throw;
  }
  // A claim goes once no pod uses it.
  std::vector<kube::Object> claims;
  for (const auto& one : going) {
    if (one.claim) claims.push_back(one.object);
  }
  await_gone(cluster_, claims, limits);
  for (const auto& one : going) {
    if (one.last) api.remove(ref_of(one.object), {.uid = one.object.uid()}, limits);
  }
}

void Transaction::recover_down(const plan::Record& found, const plan::Plan& plan, plan::Journal journal, RecoveryWay way, const Limits& limits) {
  recovery_.forward = true;
  cluster_.reporter().note(fmt::format("an earlier down of {} died while it removed: {}finishing it", plan.environment, way == RecoveryWay::back ? "what is removed can't be undone, " : ""));
  const auto started = found.entries.empty() ? cluster_.now() : found.entries.front().at;
  finish_down(plan, std::move(journal), started, "the run died while it removed; the next command finished it", limits);
  recovery_.text = fmt::format("finished the down of {}, which had died at step {}", plan.environment, plan.steps.front().name);
  cluster_.reporter().note(recovery_.text);
  observed_ = observe_state(cluster_, limits);
}

}  // namespace codops::ops::kubernetes
