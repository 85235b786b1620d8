// What an earlier run left when it died: finished forward when the whole new release was proven and still is as it should be, else undone.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "lib/engine/kubernetes/state_store.hpp"
#include "lib/kube/job_end.hpp"
#include "lib/ops/kubernetes/job.hpp"
#include "lib/ops/kubernetes/release_secrets.hpp"
#include "lib/ops/kubernetes/rollout.hpp"
#include "lib/ops/kubernetes/transaction.hpp"
#include "lib/ops/run_record.hpp"

namespace codops::ops::kubernetes {
namespace {

using Json = nlohmann::json;
using release::Release;
using release::ReleaseStore;

constexpr Milliseconds look_time{10'000};

// Whether every workload of the new release is as it should be: only then may recovery go forward.
bool all_well(RunContext& context, const Limits& limits) {
  std::vector<kube::Object> workloads;
  for (const auto& [key, object] : context.next_objects) {
    // A Job that tidies itself up had succeeded before its run came so far.
    if (kube::is_workload(object) && !kube::tidies_itself_up(object)) workloads.push_back(object);
  }
  try {
    await_rollout(context, workloads, {}, limits.within(look_time));
    return true;
  } catch (const Failure& failure) {
    limits.check("recovery");
    if (failure.code() == Exit::failed || failure.code() == Exit::deadline) return false;
    throw;
  }
}

}  // namespace

void Transaction::recover(RecoveryWay way, const Limits& limits) {
  const auto* record = observed_.snapshot.unfinished();
  const auto& journals = observed_.snapshot.journals;
  if (record == nullptr && !journals.empty() && !journals.back().open_hooks().empty()) {
    // It had ended, and died within its hooks.
    const auto& ended = journals.back();
    const auto open = ended.open_hooks();
    recovery_.needed = true;
    recovery_.text = words_of_open_hooks(ended);
    cluster_.reporter().note(recovery_.text);
    journal(ended.run, ended.entries.back().seq + 1 + static_cast<int>(ended.damaged.size())).write("done", open, "not known", limits);
  }
  if (record == nullptr) return;
  recovery_.needed = true;
  const auto found = *record;
  int next_seq = 1;
  for (const auto& entry : found.entries) next_seq = std::max(next_seq, entry.seq + 1);
  next_seq += static_cast<int>(found.damaged.size());
  auto run_journal = journal(found.run, next_seq);
  const auto plan = found.plan();
  auto last = plan ? found.last_begun(*plan) : std::nullopt;
  // A damaged entry may be the one that says that a step was begun. Undoing one that was not does nothing.
  const bool unsure = plan && found.doubtful();
  if (unsure && !last) last = 0;
  const auto close = [&](const std::string& text, const std::string& how) {
    recovery_.text = text;
    cluster_.reporter().note(text);
    lock_->write({run_journal.entry_file("ended", {}, how)}, limits);
    observed_ = observe_state(cluster_, limits);
  };
  // The record is several writes here: the history may know the end that the journal misses.
  for (const auto& entry : observed_.snapshot.history) {
    if (entry.run != found.run || entry.result == "undo failed") continue;
    recovery_.forward = entry.result == "ok";
    close(fmt::format("an earlier {} of {} had ended, only its journal was open", entry.action, entry.version), entry.result);
    return;
  }
  if (plan && had_finished(found)) {
    auto entry = entry_for(*plan, found.entries.front().at, owner_);
    entry.result = "ok";
    entry.run = found.run;
    entry.message = words_of_finished(found, *plan);
    entry.started = found.entries.front().at;
    this->record(entry, limits);
    recovery_.forward = true;
    close(fmt::format("recorded {} {} (release {}), which serves: {}", plan->verb, plan->version, plan->release, entry.message), "ok");
    return;
  }
  if (!plan && had_begun(found)) {
    throw Failure{Exit::data, fmt::format("the journal of an earlier run is damaged ({}): what it was about to change is not known", fmt::join(found.damaged, ", ")),
                  fmt::format("kubectl -n {} delete secret -l {}; then deploy the version that shall serve: that puts every object right", cluster_.namespace_(),
                              k8s::SecretStore{cluster_.api(), cluster_.namespace_(), cluster_.project()}.selector_of(std::string{plan::journal_folder} + found.run))};
  }
  if (!plan || !last) {
    close("an earlier run died before it changed anything", "nothing was done");
    return;
  }
  if (plan->verb == "down") {
    recover_down(found, *plan, std::move(run_journal), way, limits);
    return;
  }
  const auto extra = Json::parse(plan->context);
  const auto next = release::release_from_json(extra.at("next").dump());
  std::optional<Release> current;
  if (extra.at("current").is_object()) current = release::release_from_json(extra.at("current").dump());
  const auto specs = cluster_.store().load_specs(next, limits);
  auto run_context = context(next, current, objects_of(specs), before_of(specs));
  if (current) run_context.current_objects = by_key(objects_of(cluster_.store().load_specs(*current, limits)));
  run_context.token = plan->run;
  const auto& died_at = plan->steps[*last].name;
  recovery_.forward = way == RecoveryWay::best && !had_turned_back(found) && was_proven(*plan, *last) && all_well(run_context, limits);
  cluster_.reporter().note(fmt::format("an earlier {} of {} (release {}) died at step {}: {}", plan->verb, plan->version, plan->release, died_at,
                                       recovery_.forward ? "the new release serves, finishing it" : "undoing it"));
  if (plan->steps[*last].kind == "migrate" || unsure) {
    // It runs on without its client; its schema must not change under what comes next.
    std::set<std::string> namespaces{cluster_.namespace_()};
    for (const auto& [key, object] : run_context.next_objects) {
      if (!object.namespace_().empty()) namespaces.insert(object.namespace_());
    }
    end_migrations(cluster_, namespaces, limits);
  }
  ActionSet actions{run_context, {}};
  const auto started = found.entries.empty() ? cluster_.now() : found.entries.front().at;
  HidingReporter reporter{cluster_.reporter(), run_context};
  const plan::Run run{*plan, actions.table(), run_journal, reporter, cluster_.clock(), limits, [this] { lock_->check(); }, {},
                      std::max<Milliseconds>(std::chrono::minutes{5}, 2 * run_context.stall)};
  auto outcome = recovery_.forward ? plan::finish_forward(run, *last) : plan::undo_all(run, unsure ? plan->steps.size() - 1 : *last, &found);
  for (auto& line : outcome.not_undone) line = hidden(run_context, line);
  auto entry = entry_for(*plan, started, owner_);
  const auto& history = observed_.snapshot.history;
  entry.number = observed_.snapshot.next_entry();
  entry.ended = cluster_.now();
  entry.run = found.run;
  const bool served = recovery_.forward && outcome.done;
  entry.result = served ? "ok" : (outcome.exit == Exit::undo_failed ? "undo failed" : "undone");
  entry.exit = static_cast<int>(served ? Exit::ok : Exit::failed);
  entry.failed_step = died_at;
  entry.message = fmt::format("the run died at step {}; {}", died_at, served ? "the next command finished it" : "the next command undid it");
  seal(entry, history.empty() ? std::string{} : history.back().hash);
  std::vector<target::StateStore::File> files{ReleaseStore::file_of(entry)};
  if (outcome.exit != Exit::undo_failed) files.push_back(run_journal.entry_file("ended", {}, entry.result));
  lock_->write(files, limits);
  if (!served) recovery_.undone = plan->verb;
  recovery_.text = served ? fmt::format("finished {} {} (release {}), which had died at step {}", plan->verb, plan->version, plan->release, died_at)
                          : fmt::format("undid {} {} (release {}), which had died at step {}", plan->verb, plan->version, plan->release, died_at);
  if (outcome.exit == Exit::undo_failed) {
    throw Failure{Exit::undo_failed,
                  fmt::format("the earlier {} of {} could not be undone: {}", plan->verb, plan->version, fmt::join(outcome.not_undone, "; ")),
                  fmt::format("mend that by hand, then: codops resume {}", cluster_.environment().name)};
  }
  cluster_.reporter().note(recovery_.text);
  observed_ = observe_state(cluster_, limits);
}

}  // namespace codops::ops::kubernetes
