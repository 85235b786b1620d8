#include "lib/ops/transaction.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "lib/base/hiding_reporter.hpp"
#include "lib/base/parallel.hpp"
#include "lib/base/units.hpp"
#include "lib/engine/docker/api.hpp"
#include "lib/ops/bring_back.hpp"
#include "lib/ops/companions.hpp"
#include "lib/ops/evidence.hpp"
#include "lib/ops/observe.hpp"
#include "lib/ops/release_secrets.hpp"
#include "lib/ops/run_record.hpp"
#include "lib/ops/surroundings.hpp"
#include "lib/plan/fault.hpp"

namespace codops::ops {
namespace {

using Json = nlohmann::json;
using release::HistoryEntry;
using release::Release;
using release::ReleaseStore;

constexpr std::size_t token_length = 12;
constexpr std::size_t shown_log_lines = 5;
constexpr Milliseconds mend_time{60'000};
constexpr Milliseconds crash_loop_pause{120'000};  // the engine waits for a minute at most before it tries again
constexpr Milliseconds mend_time_after_signal{3'000};

}  // namespace

Transaction::Transaction(Host& host, std::string command, const release::AcquireOptions& lock, const Limits& limits, RecoveryWay way,
                         const std::function<void()>& meanwhile)
    : host_{host}, owner_{release::this_process(std::move(command))} {
  lock_ = release::acquire([&] { return host_.lock("deploy"); }, owner_, {lock.wait, host_.environment().name}, host_.clock(), host_.reporter(), limits);
  token_ = lock_->token().substr(0, token_length);
  try {
    plan::Faults{}.at("after", "lock");
    if (meanwhile) in_parallel({[&] { observe_again(limits); }, meanwhile});
    else observe_again(limits);
    host_.require_owner(observed_.snapshot);
    restore_names(limits);
    restore_surroundings(limits);
    recover(way, limits);
    settle_maintenance(limits);
  } catch (...) {
    release_lock();
    throw;
  }
}

Transaction::~Transaction() { release_lock(); }

void Transaction::release_lock() {
  if (!lock_) return;
  try {
    lock_->release(Limits{}.within(record_time));
  } catch (const Failure& failure) {
    host_.reporter().warn("the lock could not be given back: " + failure.message());
  }
  lock_.reset();
}

void Transaction::observe_again(const Limits& limits) { observed_ = observe(host_.api(), host_.store(), host_.project(), host_.environment().proxy.upstreams, limits); }

void Transaction::restore_names(const Limits& limits) {
  std::set<std::pair<std::string, std::string>> renamed;
  for (const auto& [number, release] : observed_.snapshot.releases) {
    for (const auto& service : release.services) {
      for (const auto& member : service.members) {
        if (const auto* container = observed_.renamed(member.container)) renamed.emplace(container->name, member.container);
      }
    }
  }
  for (const auto& [name, was] : renamed) {
    lock_->check(release::just_now);
    host_.api().rename_container(name, was, limits);
    host_.reporter().note(fmt::format("{} had been renamed to {}: it has its name again", was, name));
  }
  if (!renamed.empty()) observe_again(limits);
}

void Transaction::restore_surroundings(const Limits& limits) {
  const auto* current = observed_.snapshot.current();
  if (current == nullptr || observed_.snapshot.maintenance) return;
  const auto missing = missing_around(*current, observed_);
  if (missing.whole()) return;
  auto run_context = context(*current, *current, {});
  for (const auto& record : observed_.snapshot.journals) {  // the newest one that says it counts
    const auto plan = record.plan();
    const auto extra = plan ? Json::parse(plan->context.empty() ? "{}" : plan->context) : Json::object();
    if (const auto subnet = extra.value("subnet", std::string{}); !subnet.empty() && !observed_.traffic.exists) run_context.traffic.subnet = subnet;
    if (!extra.contains("networks")) continue;
    run_context.networks.clear();
    for (const auto& network : extra.at("networks")) run_context.networks.push_back({network.at("name"), network.at("body"), false});
  }
  put_right(run_context, missing, limits);
  observe_again(limits);
}

void Transaction::choose_subnet(const Limits& limits) {
  if (!observed_.traffic.subnet.empty()) return;
  lock_->check();
  observed_.traffic.subnet = free_subnet(host_.api(), host_.project(), token_, limits);
}

WallTime Transaction::now() { return host_.api().client().engine_now().value_or(host_.clock().now()); }

plan::Journal Transaction::journal_after(const plan::Record& record) {
  int last_seq = 0;
  for (const auto& entry : record.entries) last_seq = std::max(last_seq, entry.seq);
  // What was written last is not known where entries may be hidden.
  return journal(record.run, last_seq + 1 + static_cast<int>(record.damaged.size()), record.doubtful() ? 0 : last_seq);
}

plan::Journal Transaction::journal(std::string run, int next_seq, int last_written) {
  return {[this](const std::vector<target::StateStore::File>& files, const Limits& limits) { lock_->write(files, limits); }, std::move(run),
          [this] { return now(); }, next_seq, last_written};
}

RunContext Transaction::context(const Release& next, const std::optional<Release>& current, const Desired& desired) {
  RunContext context{host_.api(), host_.store(), host_.reporter(), host_.clock()};
  const auto& environment = host_.environment();
  context.project = host_.project();
  context.environment = environment.name;
  context.token = token_;
  context.require_lock = [this] { lock_->check(release::just_now); };
  context.traffic = observed_.traffic;
  context.proxy = {environment.proxy.service, environment.proxy.upstreams, desired.proxy.set_connect_timeout};
  context.front_door = front_door_of(host_, desired);
  context.ready_timeout = environment.timeouts.ready;
  context.drain = environment.timeouts.drain;
  context.next = next;
  context.current = current;
  context.specs = desired.specs;
  context.blobs = desired.blobs;
  add_secrets_of(environment, host_.shell(), context.environment_secrets);
  host_.api().registry_auth().add_secrets(context.environment_secrets);
  for (const auto& [name, value] : desired.variables) context.environment_secrets.add_variable(name, value);
  context.networks = desired.networks;
  context.volumes = desired.volumes;
  return context;
}

std::string Transaction::mend_after_undo(RunContext& context, const std::function<bool(const std::string&)>& ran, Booting booting, const Limits& limits) {
  if (!context.current) return {};
  try {
    const auto mended = bring_back(context, *context.current, [&](const auto&, const auto& member) { return ran(member.container); }, booting, limits);
    if (!mended.empty()) host_.reporter().note(fmt::format("{} had been stopped or removed meanwhile and runs again", fmt::join(mended, ", ")));
    return {};
  } catch (const Failure& failure) {
    if (failure.code() == Exit::locked) return {};
    if (failure.code() == Exit::interrupted || failure.code() == Exit::terminated) {
      host_.reporter().warn(fmt::format("cut off before release {} was seen whole: codops status {}", context.current->number, host_.environment().name));
      return fmt::format("cut off before release {} was seen whole", context.current->number);
    }
    host_.reporter().warn(fmt::format("release {} is not whole: {}; to mend it: codops deploy {} {}", context.current->number, failure.message(),
                                      host_.environment().name, context.current->version));
    return fmt::format("release {} is not whole: {}", context.current->number, failure.message());
  }
}

RunResult Transaction::run(const Planned& planned, const Desired& desired, Companions companions, const Limits& limits) {
  RunResult result;
  auto plan = planned.plan;
  const auto current = planned.current ? planned.current : serving(observed_, host_.project());
  auto extra = Json::parse(plan.context.empty() ? "{}" : plan.context);
  extra["next"] = Json::parse(to_json(planned.next));
  extra["current"] = current ? Json::parse(to_json(*current)) : Json();
  // Whoever recovers this run has other settings, or none of them.
  extra["proxy"] = {{"service", host_.environment().proxy.service}, {"upstreams", host_.environment().proxy.upstreams}};
  extra["subnet"] = observed_.traffic.subnet;
  for (const auto& network : desired.networks) {
    if (!network.external) extra["networks"].push_back({{"name", network.name}, {"body", network.body}});
  }
  plan.context = extra.dump();
  plan.run = token_;
  const auto started = now();
  auto run_journal = journal(run_name(started, token_, newest_run(observed_.snapshot)), 1);

  // One write makes the run known: the release, its definitions and files, the plan, and the step that comes first.
  std::vector<target::StateStore::File> files;
  auto last_hash = observed_.snapshot.history.empty() ? std::string{} : observed_.snapshot.history.back().hash;
  int next_entry = observed_.snapshot.next_entry();
  HistoryEntry adopted;
  if (planned.adopted) {
    adopted.number = next_entry++;
    adopted.action = "adopted";
    adopted.release = planned.adopted->number;
    adopted.version = planned.adopted->version;
    adopted.started = adopted.ended = started;
    adopted.by = owner_.owner;
    adopted.host = owner_.host;
    adopted.result = "ok";
    seal(adopted, last_hash);
    last_hash = adopted.hash;
    files.push_back(ReleaseStore::file_of(*planned.adopted));
    files.push_back(ReleaseStore::file_of(adopted));
  }
  files.push_back(ReleaseStore::spare_room(true));
  files.push_back(ReleaseStore::file_of(planned.next));
  files.push_back(ReleaseStore::file_of(planned.next.number, desired.specs));
  files.push_back(ReleaseStore::environment_file(host_.environment().name));
  std::set<std::string> stored;
  const auto mounted_of = [&](const release::FileRef& file) { return ReleaseStore::mounted(file, desired.blobs.contains(file.sha256) ? desired.blobs.at(file.sha256) : std::string{}); };
  if (current) {
    for (const auto& service : current->services) {
      for (const auto& file : service.files) {
        stored.insert(file.sha256);
        if (file.mounted) stored.insert(mounted_of(file).path);
      }
    }
  }
  for (const auto& service : planned.next.services) {
    for (const auto& file : service.files) {
      if (!file.mounted || !desired.blobs.contains(file.sha256)) continue;
      if (auto made = mounted_of(file); stored.insert(made.path).second) files.push_back(std::move(made));
    }
  }
  for (const auto& [sha256, content] : desired.blobs) {
    if (!stored.contains(sha256)) files.push_back(ReleaseStore::blob(sha256, content));
  }
  files.push_back(run_journal.entry_file("planned", {}, plan.verb + " " + plan.version, to_json(plan)));
  const auto& first = plan.steps.front();
  if (first.mutates) files.push_back(run_journal.entry_file("doing", first.name, first.text));
  const plan::Faults faults;
  faults.at("before", "plan");
  lock_->write_whole(files, limits);
  faults.at("after", "plan");

  auto run_context = context(planned.next, current, desired);
  for (const auto& container : observed_.containers) {
    const bool of_late = container.restart_count > 0 && observed_.now - container.started < crash_loop_pause;
    if (of_late || container.state == target::RunState::restarting) run_context.crashed_before.insert(container.name);
  }
  ActionSet actions{run_context, std::move(companions)};
  const auto save_evidence = [&](const plan::Step& step, const Failure& failure) {
    const auto within = Limits{}.within(Milliseconds{failure.code() == Exit::interrupted || failure.code() == Exit::terminated ? 1500 : 8000});
    result.evidence = collect_evidence(run_context, step.name, failure.message(), suspects(plan, step), within);
    result.last_lines = worst_lines(result.evidence, shown_log_lines);
  };
  HidingReporter told{host_.reporter(), [&]() -> const KnownSecrets& { return run_context.secrets_at_hand(); }};
  plan::Run run{plan, actions.table(), run_journal, told, host_.clock(), limits, run_context.require_lock, save_evidence};
  run.first_written = first.mutates;
  result.outcome = plan::run(run);
  if (auto& failure = result.outcome.failure) {
    const auto& secrets = run_context.secrets_at_hand();
    failure = Failure{failure->code(), secrets.hide(failure->message()), secrets.hide(failure->hint())};
  }
  if (!result.outcome.done && result.outcome.exit != Exit::locked && result.outcome.exit != Exit::undo_failed) {
    const bool by_signal = result.outcome.exit == Exit::interrupted || result.outcome.exit == Exit::terminated;
    const auto ran = [&](const std::string& name) {
      const auto* container = observed_.container(name);
      return container != nullptr && container->running();
    };
    const auto whole_again = std::max<Milliseconds>(mend_time, run_context.ready_timeout);
    const auto missing = mend_after_undo(run_context, ran, Booting::left, Limits{Deadline::after(by_signal ? mend_time_after_signal : whole_again), {}});
    // A signal's exit code stays; what is missing was said, and the next deploy makes it whole.
    if (!missing.empty() && !by_signal) {
      result.outcome.not_undone.push_back(missing);
      result.outcome.exit = Exit::undo_failed;
    }
  }
  result.exit = result.outcome.exit;
  result.plan = plan;
  // Before the record, which says how they went.
  if (result.outcome.done) run_hooks(run_journal, result, "ok", limits);
  result.engine_time = run_context.engine_time;
  result.front_door_asked = run_context.front_door_asked;
  result.front_door_answered = run_context.front_door_answered;

  auto& entry = result.entry;
  entry = entry_for(plan, started, owner_);
  entry.number = next_entry;
  entry.ended = now();
  entry.result = result_of(result.outcome);
  entry.exit = static_cast<int>(result.exit);
  entry.run = run_journal.run();
  if (result.outcome.failure) {
    entry.message = result.outcome.failure->message();
    entry.failed_step = result.outcome.failed_step;
  } else {
    entry.message = fmt::format("{}", fmt::join(result.failed_hooks, "; "));
  }
  seal(entry, last_hash);
  if (result.exit == Exit::locked) {  // the state is somebody else's now
    run_hooks(run_journal, result, entry.result, {});
    return result;
  }
  std::vector<target::StateStore::File> ending{ReleaseStore::file_of(entry)};
  if (!result.evidence.empty()) ending.push_back({fmt::format("meta/evidence/{}/evidence.json", run_journal.run()), result.evidence});
  // What could not be undone stays open: the next command tries again.
  if (result.exit != Exit::undo_failed) ending.push_back(run_journal.entry_file("ended", {}, entry.result));
  faults.at("before", "record");
  try {
    if (!write_end(ending)) result.evidence.clear();
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
    result.recorded = false;
    // What happened counts more than that it could not be written down; the next command finds the open journal.
    host_.reporter().warn(fmt::format("the end of this run could not be recorded: {}; codops resume {} does it", failure.message(), host_.environment().name));
  }
  faults.at("after", "record");
  if (!result.outcome.done) run_hooks(run_journal, result, entry.result, {});
  // What prune goes by; the containers that this run made are not among the observed ones, and stay.
  auto& snapshot = observed_.snapshot;
  if (planned.adopted) {
    snapshot.releases.insert_or_assign(planned.adopted->number, *planned.adopted);
    snapshot.history.push_back(adopted);
  }
  snapshot.releases.insert_or_assign(planned.next.number, planned.next);
  snapshot.history.push_back(entry);
  return result;
}

void Transaction::record(HistoryEntry entry, const Limits& limits, std::vector<target::StateStore::File> more) {
  const auto& history = observed_.snapshot.history;
  entry.number = observed_.snapshot.next_entry();
  entry.by = owner_.owner;
  entry.host = owner_.host;
  entry.ended = now();
  if (entry.started == WallTime{}) entry.started = entry.ended;
  seal(entry, history.empty() ? std::string{} : history.back().hash);
  more.insert(more.begin(), ReleaseStore::file_of(entry));
  write_end(more, limits);
}

bool Transaction::write_end(std::vector<target::StateStore::File> files, const Limits& limits) {
  try {
    lock_->write(files, limits);
    return true;
  } catch (const Failure& failure) {
    if (failure.code() != Exit::failed) throw;
    // Its folder would be made before the room is free.
    std::erase_if(files, [](const auto& file) { return file.path.starts_with("meta/evidence/"); });
    files.insert(files.begin(), ReleaseStore::spare_room(false));
    try {
      lock_->write(files, limits);
    } catch (const Failure& again) {
      if (again.code() == Exit::locked) throw;
      throw failure;
    }
    host_.reporter().warn(fmt::format("{}; the end of this run went into the room that was kept for it", failure.message()));
    return false;
  }
}

void Transaction::run_hooks(plan::Journal& run_journal, RunResult& result, const std::string& how, const Limits& limits) {
  const bool good = result.outcome.done;
  const auto& hooks = host_.environment().hooks;
  if ((good ? hooks.post_deploy : hooks.on_failure).empty()) return;
  run_noted(result, run_journal, host_.reporter(), host_.clock(), [&] { return run_after_hooks(host_, good, result.plan, how, limits); });
}

}  // namespace codops::ops
