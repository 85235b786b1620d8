// What an earlier run left when it died: finished forward when the whole new set was serving, else undone.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/ops/proxy.hpp"
#include "lib/ops/recover_blind.hpp"
#include "lib/ops/run_record.hpp"
#include "lib/ops/transaction.hpp"

namespace codops::ops {
namespace {

using Json = nlohmann::json;
using release::Release;
using release::ReleaseStore;

// Whether every container of the new release runs: only then may recovery go forward.
bool all_run(const Release& next, const Observed& observed) {
  for (const auto& service : next.services) {
    for (const auto& member : service.members) {
      const auto* container = observed.container(member.container);
      if (container == nullptr) return false;
      if (service.role == release::Role::one_shot) continue;
      if (!container->running() || container->health == target::HealthState::unhealthy) return false;
    }
  }
  return true;
}

// The container of the release's proxy, where it runs; else empty.
std::string running_proxy(const Release& release, const Observed& observed) {
  for (const auto& service : release.services) {
    if (service.role != release::Role::proxy || service.members.empty()) continue;
    const auto* container = observed.container(service.members.front().container);
    if (container != nullptr && container->running()) return container->name;
  }
  return {};
}

}  // namespace

void Transaction::recover(RecoveryWay way, const Limits& limits) {
  // Whoever started them held the lock that is ours now.
  for (const auto& id : observed_.hooks) {
    lock_->check();
    host_.reporter().note(fmt::format("removing container {} of a hook whose run died", id.substr(0, 12)));
    host_.api().remove_container(id, true, true, limits);
  }
  const auto* record = observed_.snapshot.unfinished();
  if (record == nullptr) return;
  recovery_.needed = true;
  const auto found = *record;
  int last_seq = 0;
  for (const auto& entry : found.entries) last_seq = std::max(last_seq, entry.seq);
  auto run_journal = journal(found.run, last_seq + 1 + static_cast<int>(found.damaged.size()), last_seq);
  const auto plan = found.plan();
  const auto last = plan ? found.last_maybe_begun(*plan) : std::nullopt;
  const bool unsure = plan && !found.damaged.empty();
  if (unsure) {
    host_.reporter().warn(fmt::format("the journal of an earlier run is damaged ({}): it is taken to have come as far as it can have",
                                      fmt::join(found.damaged, ", ")));
  }
  if (!plan && had_begun(found)) {
    // What it meant to do can't be read, what it made can be told by its token.
    host_.reporter().warn(fmt::format("the journal of an earlier run is damaged ({}): going back to what served before it",
                                      fmt::join(found.damaged, ", ")));
    const auto current = serving(observed_, host_.project());
    Desired stored;
    if (current) stored.specs = host_.store().load_specs(current->number, limits);
    auto run_context = context(current.value_or(Release{}), current, stored);
    lock_->write({}, limits);
    const auto removed = recover_blind(run_context, observed_, found.run, limits);
    recovery_.text = fmt::format("undid a run whose journal is damaged: {} containers of it removed", removed);
    lock_->write({run_journal.entry_file("ended", {}, "undone without its plan")}, limits);
    host_.reporter().note(recovery_.text);
    observe_again(limits);
    return;
  }
  if (!plan || !last) {
    // It died before its first step: nothing was changed.
    recovery_.text = "an earlier run died before it changed anything";
    host_.reporter().note(recovery_.text);
    lock_->write({run_journal.entry_file("ended", {}, "nothing was done")}, limits);
    observe_again(limits);
    return;
  }
  const auto extra = Json::parse(plan->context);
  const auto next = release::release_from_json(extra.at("next").dump());
  std::optional<Release> current;
  if (extra.at("current").is_object()) current = release::release_from_json(extra.at("current").dump());
  const auto& died_at = plan->steps[*last].name;
  recovery_.forward = way == RecoveryWay::best && !unsure && !had_turned_back(found) && was_proven(*plan, *last) && all_run(next, observed_);
  host_.reporter().note(fmt::format("an earlier {} of {} (release {}) died at step {}: {}", plan->verb, plan->version, plan->release, died_at,
                                    recovery_.forward ? "its new set serves, finishing it" : "undoing it"));
  Desired stored;
  stored.specs = host_.store().load_specs(next.number, limits);
  auto run_context = context(next, current, stored);
  run_context.token = plan->run;
  if (const auto proxy = recovery_.forward ? running_proxy(next, observed_) : std::string{}; !proxy.empty()) {
    run_context.old_workers = leaving_workers(run_context, proxy, limits);
  }
  ActionSet actions{run_context, {}};
  const auto started = found.entries.empty() ? now() : found.entries.front().at;
  const plan::Run run{*plan, actions.table(), run_journal, host_.reporter(), host_.clock(), limits, run_context.require_lock, {}};
  const auto outcome = recovery_.forward ? plan::finish_forward(run, *last) : plan::undo_all(run, *last, &found);
  auto entry = entry_for(*plan, started, owner_);
  const auto& history = observed_.snapshot.history;
  entry.number = history.empty() ? 1 : history.back().number + 1;
  entry.ended = now();
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
  recovery_.text = served ? fmt::format("finished {} {} (release {}), which had died at step {}", plan->verb, plan->version, plan->release, died_at)
                          : fmt::format("undid {} {} (release {}), which had died at step {}", plan->verb, plan->version, plan->release, died_at);
  if (outcome.exit == Exit::undo_failed) {
    throw Failure{Exit::undo_failed,
                  fmt::format("the earlier {} of {} could not be undone: {}", plan->verb, plan->version, fmt::join(outcome.not_undone, "; ")),
                  fmt::format("mend that by hand, then: codops resume {}", host_.environment().name)};
  }
  host_.reporter().note(recovery_.text);
  observe_again(limits);
}

}  // namespace codops::ops
