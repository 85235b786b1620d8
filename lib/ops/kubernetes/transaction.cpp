#include "lib/ops/kubernetes/transaction.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/engine/kubernetes/api.hpp"
#include "lib/ops/evidence.hpp"
#include "lib/ops/kubernetes/companions.hpp"
#include "lib/ops/kubernetes/evidence.hpp"
#include "lib/ops/kubernetes/release_secrets.hpp"
#include "lib/ops/run_record.hpp"
#include "lib/plan/fault.hpp"

namespace codops::ops::kubernetes {
namespace {

using Json = nlohmann::json;
using release::HistoryEntry;
using release::Release;
using release::ReleaseStore;

constexpr std::size_t token_length = 12;
constexpr std::size_t shown_log_lines = 5;
// An API server that is being restarted, or elects a new leader of its store, is no reason to lose the record.
constexpr Milliseconds outage_borne{45'000};
constexpr Milliseconds record_time{60'000};
constexpr Milliseconds lock_release_time{15'000};
// After a signal somebody waits, and may kill soon: all of these and the undo fit into 7 s, though the API server hangs.
constexpr Milliseconds undo_time_after_signal{5000};
constexpr Milliseconds record_time_after_signal{1500};
constexpr Milliseconds lock_release_time_after_signal{500};
constexpr Milliseconds evidence_time{10'000};
constexpr Milliseconds evidence_time_after_signal{1500};
// Going back replaces pods, which takes as long as it takes: an undo that gives up early would leave a mix.
constexpr Milliseconds least_undo_time{std::chrono::minutes{5}};
constexpr int kept_runs = 10;

bool by_signal(const Failure& failure) { return failure.code() == Exit::interrupted || failure.code() == Exit::terminated; }

}  // namespace

Transaction::Transaction(Cluster& cluster, std::string command, Milliseconds lock_wait, const Limits& limits, RecoveryWay way)
    : cluster_{cluster}, owner_{release::this_process(std::move(command))}, began_{cluster.clock().steady()}, cancel_{limits.cancel} {
  try {
    lock_ = release::acquire([&] { return cluster_.lock("deploy"); }, owner_, {lock_wait, cluster_.environment().name}, cluster_.clock(), cluster_.reporter(), limits);
  } catch (const k8s::ApiError& error) {
    const auto& name = cluster_.namespace_();
    if (error.status() == 404) throw no_namespace(name);
    if (error.message().find("being terminated") != std::string::npos) {
      throw Failure{Exit::failed, fmt::format("the namespace \"{}\" is being removed: nothing new can be made in it", name),
                    fmt::format("wait until it is gone; what holds it: kubectl get namespace {} -o jsonpath='{{.status.conditions}}'", name)};
    }
    throw;
  }
  token_ = lock_->token().substr(0, token_length);
  try {
    plan::Faults{}.at("after", "lock");
    cluster_.api().client().bear_outages(outage_borne);
    observed_ = observe_state(cluster_, limits);
    cluster_.require_owner(observed_.snapshot);
    recover(way, limits);
  } catch (...) {
    release_lock();
    throw;
  }
}

Transaction::~Transaction() { release_lock(); }

void Transaction::release_lock() {
  if (!lock_) return;
  try {
    lock_->release(Limits{}.within(signalled_ || cancel_.requested() ? lock_release_time_after_signal : lock_release_time));
  } catch (const Failure& failure) {
    cluster_.reporter().warn("the lock could not be given back: " + failure.message());
  }
  lock_.reset();
}

plan::Journal Transaction::journal(std::string run, int next_seq) {
  return {[this](const std::vector<target::StateStore::File>& files, const Limits& limits) { lock_->write(files, limits); }, std::move(run),
          [this] { return cluster_.now(); }, next_seq};
}

RunContext Transaction::context(const Release& next, const std::optional<Release>& current, const std::vector<kube::Object>& objects,
                                const std::vector<kube::Object>& before) const {
  const auto& environment = cluster_.environment();
  RunContext context{cluster_};
  context.token = token_;
  context.next = next;
  context.current = current;
  context.next_objects = by_key(objects);
  context.current_objects = by_key(observed_.current_objects);
  context.before = by_key(before);
  context.monitor = environment.monitor;
  context.stall = environment.timeouts.ready + environment.monitor;
  return context;
}

RunResult Transaction::run(const Planned& planned, Companions companions, bool force_conflicts, const Limits& limits) {
  RunResult result;
  auto plan = planned.plan;
  const auto* serving = observed_.snapshot.current();
  const auto current = serving == nullptr ? std::nullopt : std::optional{*serving};
  plan.context = Json{{"next", Json::parse(to_json(planned.next))}, {"current", current ? Json::parse(to_json(*current)) : Json()}}.dump();
  plan.run = token_;
  const auto started = cluster_.now();
  auto run_journal = journal(run_name(started, token_, newest_run(observed_.snapshot)), 1);

  // The plan is written last: without its release and objects it could not be undone.
  std::vector<target::StateStore::File> files{ReleaseStore::file_of(planned.next.number, specs_of(planned.objects, planned.before)), ReleaseStore::file_of(planned.next),
                                              run_journal.entry_file("planned", {}, plan.verb + " " + plan.version, to_json(plan))};
  if (observed_.snapshot.environment.empty()) files.insert(files.begin(), ReleaseStore::environment_file(cluster_.environment().name));
  const plan::Faults faults;
  faults.at("before", "plan");
  lock_->write_whole(files, limits);
  faults.at("after", "plan");

  auto run_context = context(planned.next, current, planned.objects, planned.before);
  run_context.force_conflicts = force_conflicts;
  ActionSet actions{run_context, std::move(companions)};
  const auto save_evidence = [&](const plan::Step& step, const Failure& failure) {
    result.evidence = collect_evidence(run_context, step.name, failure.message(), Limits{}.within(by_signal(failure) ? evidence_time_after_signal : evidence_time));
    result.last_lines = worst_lines(result.evidence, shown_log_lines);
  };
  HidingReporter reporter{cluster_.reporter(), run_context};
  const plan::Run run{plan,   actions.table(), run_journal, reporter, cluster_.clock(), limits, [this] { lock_->check(); }, save_evidence,
                      std::max(least_undo_time, 2 * run_context.stall), undo_time_after_signal};
  result.outcome = plan::run(run);
  if (auto& failure = result.outcome.failure) failure = Failure{failure->code(), hidden(run_context, failure->message()), hidden(run_context, failure->hint())};
  for (auto& line : result.outcome.not_undone) line = hidden(run_context, line);
  // Objects were changed, but no request ever went to a new pod.
  if (result.outcome.exit == Exit::moved_back && !run_context.traffic_moved) result.outcome.exit = Exit::failed;
  signalled_ = result.outcome.failure && by_signal(*result.outcome.failure);
  // The way back was cut off, not refused: the journal stays open, and the next command goes it.
  result.exit = signalled_ && result.outcome.undo_cut_off ? result.outcome.failure->code() : result.outcome.exit;
  result.plan = plan;
  // Before the record, which says how they went.
  if (result.outcome.done) run_hooks(run_journal, result, "ok", limits);
  signalled_ = signalled_ || result.exit == Exit::interrupted || result.exit == Exit::terminated;
  result.front_door_asked = run_context.front_door_asked;
  result.front_door_answered = run_context.front_door_answered;

  auto& entry = result.entry;
  entry = entry_for(plan, started, owner_);
  const auto& history = observed_.snapshot.history;
  entry.number = observed_.snapshot.next_entry();
  entry.ended = cluster_.now();
  entry.result = result_of(result.outcome);
  entry.exit = static_cast<int>(result.exit);
  entry.run = run_journal.run();
  if (result.outcome.failure) {
    entry.message = result.outcome.failure->message();
    entry.failed_step = result.outcome.failed_step;
  } else {
    entry.message = fmt::format("{}", fmt::join(result.failed_hooks, "; "));
  }
  seal(entry, history.empty() ? std::string{} : history.back().hash);
  result.elapsed = std::chrono::duration_cast<Milliseconds>(cluster_.clock().steady() - began_);
  if (result.exit == Exit::locked) {  // the state is somebody else's now
    run_hooks(run_journal, result, entry.result, {});
    return result;
  }
  std::vector<target::StateStore::File> ending;
  if (!result.evidence.empty()) ending.push_back({fmt::format("meta/evidence/{}/evidence.json", run_journal.run()), result.evidence});
  ending.push_back(ReleaseStore::file_of(entry));
  // What could not be undone stays open: the next command tries again.
  if (result.outcome.exit != Exit::undo_failed) ending.push_back(run_journal.entry_file("ended", {}, entry.result));
  faults.at("before", "record");
  try {
    lock_->write(ending, Limits{}.within(signalled_ ? record_time_after_signal : record_time));
  } catch (const Failure& failure) {
    if (failure.code() == Exit::locked) {
      result.exit = failure.code();
      if (!result.outcome.failure) {
        result.outcome.failure = failure;
        result.outcome.failed_step = "record";
        result.outcome.failed_index = static_cast<int>(plan.steps.size());
      }
      result.outcome.done = false;
      run_hooks(run_journal, result, entry.result, {});
      return result;
    }
    // What happened counts more than that it could not be written down; the next command finds the open journal.
    cluster_.reporter().warn(fmt::format("the end of this run could not be recorded: {}; codops resume {} does it", failure.message(), cluster_.environment().name));
  }
  faults.at("after", "record");
  // As it would be read now.
  auto& known = observed_.snapshot;
  known.releases.insert_or_assign(planned.next.number, planned.next);
  known.history.push_back(entry);
  known.journals.push_back({});
  known.journals.back().run = run_journal.run();
  if (!result.outcome.done) run_hooks(run_journal, result, entry.result, {});
  result.elapsed = std::chrono::duration_cast<Milliseconds>(cluster_.clock().steady() - began_);
  return result;
}

void Transaction::run_hooks(plan::Journal& run_journal, RunResult& result, const std::string& how, const Limits& limits) {
  const bool good = result.outcome.done;
  const auto& hooks = cluster_.environment().hooks;
  if (result.plan.verb != "deploy" || (good ? hooks.post_deploy : hooks.on_failure).empty()) return;
  run_noted(result, run_journal, cluster_.reporter(), cluster_.clock(), [&] { return run_after_hooks(cluster_, good, result.plan, how, limits); });
}

void Transaction::record(HistoryEntry entry, const Limits& limits, std::vector<target::StateStore::File> more) {
  const auto& history = observed_.snapshot.history;
  entry.number = observed_.snapshot.next_entry();
  entry.by = owner_.owner;
  entry.host = owner_.host;
  entry.ended = cluster_.now();
  if (entry.started == WallTime{}) entry.started = entry.ended;
  seal(entry, history.empty() ? std::string{} : history.back().hash);
  more.insert(more.begin(), ReleaseStore::file_of(entry));
  lock_->write(more, limits);
}

void Transaction::prune(const Limits& limits) {
  try {
    const auto* current = observed_.snapshot.current();
    if (current == nullptr) return;
    const auto retention = release::prune_plan(observed_.snapshot, current->number, cluster_.environment().keep_releases, kept_runs);
    lock_->check();
    const auto middle = retention.paths.begin() + static_cast<std::ptrdiff_t>(retention.paths.size() / 2);
    cluster_.store().remove({retention.paths.begin(), middle}, limits);
    plan::Faults{}.at("in", "prune");
    cluster_.store().remove({middle, retention.paths.end()}, limits);
  } catch (const Failure& failure) {
    cluster_.reporter().warn("old releases could not be cleaned up: " + failure.message() + "; the next deploy tries again");
  }
}

}  // namespace codops::ops::kubernetes
