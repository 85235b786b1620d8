// What an earlier run left when it died: finished forward when the whole new set was serving, else undone.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/engine/docker/api.hpp"
#include "lib/ops/down_steps.hpp"
#include "lib/ops/evidence.hpp"
#include "lib/ops/members.hpp"
#include "lib/ops/networks.hpp"
#include "lib/ops/observe.hpp"
#include "lib/ops/one_off.hpp"
#include "lib/ops/proxy.hpp"
#include "lib/ops/readiness.hpp"
#include "lib/ops/recover_blind.hpp"
#include "lib/ops/run_record.hpp"
#include "lib/ops/transaction.hpp"
#include "lib/ops/upstreams.hpp"

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

// From which step on a run is finished whose new set runs; nullopt: it is undone. Proven ones go on where they died. Where the old set runs
// no more there is nothing to go back to: traffic is led to the new one and it has to prove itself. The same where entries are damaged and
// the run had come so far: doing a switch twice does no harm.
std::optional<std::size_t> forward_from(const plan::Record& record, const plan::Plan& plan, std::size_t last, const std::optional<Release>& current,
                                        const Observed& observed) {
  const auto sure = !record.doubtful() ? std::optional{last} : record.last_begun(plan);
  const auto moves = switch_of(plan);
  if (sure && was_proven(plan, *sure)) return !record.doubtful() || !moves ? sure : moves;
  const bool nowhere_back = current && !all_run(*current, observed);
  if (nowhere_back && moves && last >= *moves) return moves;
  return std::nullopt;
}

// What the run found or made, and somebody removed since: nothing could be started without.
void restore_networks(RunContext& context, const std::string& subnet, const Limits& limits) {
  for (const auto& network : context.networks) {
    if (make_network(context, network.name, limits)) context.reporter.note(fmt::format("the network {} was gone: made again", network.name));
  }
  if (!subnet.empty() && make_traffic(context, subnet, limits)) context.reporter.note(fmt::format("the network {} was gone: made again", context.traffic.name));
}

// Back to their networks, those that were made again too: the new set serves by them.
void reattach(RunContext& context, const Limits& limits) {
  for (const auto& service : context.next.services) {
    if (!rolls(service.role)) continue;
    for (const auto& member : service.members) {
      const auto details = context.api.find_container(member.container, limits);
      if (!details || details->state != target::RunState::running) continue;
      rejoin(context, service, *details, limits);
      if (!member.address.empty() && !details->networks.contains(context.traffic.name)) join_traffic(context, service, member, limits);
    }
  }
}

constexpr Milliseconds evidence_time{8'000};
constexpr Milliseconds mend_time_of_recovery{60'000};

}  // namespace

void Transaction::recover(RecoveryWay way, const Limits& limits) {
  // Whoever started them held the lock that is ours now.
  for (const auto& id : observed_.hooks) {
    lock_->check();
    host_.reporter().note(fmt::format("removing container {} of a hook whose run died", id.substr(0, 12)));
    host_.api().remove_container(id, true, true, limits);
  }
  for (const auto& one : left_by_the_dead(observed_)) {
    lock_->check();
    host_.reporter().note(fmt::format("removing {}, left by a codops run that was killed", one.name));
    host_.api().remove_container(one.id, true, true, limits);
  }
  const auto* record = observed_.snapshot.unfinished();
  if (record == nullptr) {
    close_journal(limits);
    return settle_hooks(limits);
  }
  recovery_.needed = true;
  const auto found = *record;
  auto run_journal = journal_after(found);
  const auto plan = found.plan();
  if (plan && had_finished(found)) return record_finished(found, *plan, std::move(run_journal), limits);
  auto last = plan ? found.last_maybe_begun(*plan) : std::nullopt;
  const bool unsure = plan && found.doubtful();
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
    if (current) stored.specs = host_.store().load_specs(*current, limits);
    auto run_context = context(current.value_or(Release{}), current, stored);
    lock_->write({}, limits);
    const auto removed = recover_blind(run_context, observed_, found.run, limits);
    recovery_.text = fmt::format("undid a run whose journal is damaged: {} containers of it removed", removed);
    lock_->write({run_journal.entry_file("ended", {}, "undone without its plan")}, limits);
    host_.reporter().note(recovery_.text);
    observe_again(limits);
    return;
  }
  const auto extra = plan ? Json::parse(plan->context) : Json::object();
  const auto proxy = extra.value("proxy", Json::object());
  const auto folder = proxy.value("upstreams", host_.environment().proxy.upstreams);
  if (folder != host_.environment().proxy.upstreams) observed_ = observe(host_.api(), host_.store(), host_.project(), folder, limits);
  // Where the proxy leads says more than the last entries do, which a power cut may have taken.
  const auto switched = plan && traffic_moved(*plan, observed_) ? switch_of(*plan) : std::nullopt;
  if (switched && (!last || *last < *switched)) {
    host_.reporter().warn("traffic was moved further than the journal of an earlier run says: its last entries are gone");
    last = switched;
  }
  if (!plan || !last) {
    // It died before its first step: nothing was changed.
    recovery_.text = "an earlier run died before it changed anything";
    host_.reporter().note(recovery_.text);
    lock_->write({run_journal.entry_file("ended", {}, "nothing was done")}, limits);
    observe_again(limits);
    return;
  }
  if (plan->verb == down_verb) return recover_down(found, *plan, *last, std::move(run_journal), way, limits);
  const auto next = release::release_from_json(extra.at("next").dump());
  std::optional<Release> current;
  if (extra.at("current").is_object()) current = release::release_from_json(extra.at("current").dump());
  const auto& died_at = plan->steps[*last].name;
  const auto from = way != RecoveryWay::back && !had_turned_back(found) && all_run(next, observed_) ? forward_from(found, *plan, *last, current, observed_)
                                                                                                   : std::nullopt;
  recovery_.forward = from.has_value();
  const bool old_set_gone = recovery_.forward && current && !all_run(*current, observed_) && !was_proven(*plan, *last);
  host_.reporter().note(fmt::format("an earlier {} of {} (release {}) died at step {}: {}", plan->verb, plan->version, plan->release, died_at,
                                    old_set_gone          ? "what served before it runs no more, its new set does: finishing it"
                                    : recovery_.forward ? "its new set serves, finishing it"
                                                        : "undoing it"));
  Desired stored;
  stored.specs = host_.store().load_specs(next, limits);
  auto run_context = context(next, current, stored);
  run_context.token = plan->run;
  run_context.proxy.service = proxy.value("service", run_context.proxy.service);
  run_context.proxy.upstreams = folder;
  for (const auto& network : extra.value("networks", Json::array())) run_context.networks.push_back({network.at("name"), network.at("body"), false});
  if (current || recovery_.forward) restore_networks(run_context, extra.value("subnet", std::string{}), limits);
  if (const auto proxy = recovery_.forward ? running_proxy(next, observed_) : std::string{}; !proxy.empty()) {
    run_context.old_workers = leaving_workers(run_context, proxy, limits);
  }
  if (recovery_.forward) {
    reattach(run_context, limits);
    // An engine that came back may have started them a moment ago.
    std::vector<std::string> names;
    for (const auto& service : next.services) {
      if (!rolls(service.role)) continue;
      for (const auto& member : service.members) names.push_back(member.container);
    }
    try {
      wait_kept(run_context, members_named(run_context.next, names), [](const std::string&) {}, limits);
    } catch (const Failure& failure) {
      if (failure.code() != Exit::failed) throw;
      recovery_.forward = false;
      host_.reporter().note(fmt::format("its new set does not get ready ({}): undoing it", failure.message()));
    }
  }
  ActionSet actions{run_context, {}};
  const auto started = found.entries.empty() ? now() : found.entries.front().at;
  const plan::Run run{*plan, actions.table(), run_journal, host_.reporter(), host_.clock(), limits, run_context.require_lock, {}};
  std::string evidence;
  if (!recovery_.forward) {
    evidence = collect_evidence(run_context, died_at, "the run died at step " + died_at, suspects(*plan, plan->steps[*last]), Limits{}.within(evidence_time));
  }
  auto outcome = recovery_.forward ? plan::finish_forward(run, *from) : plan::undo_all(run, *last, &found);
  if ((!recovery_.forward || !outcome.done) && outcome.exit != Exit::undo_failed && outcome.exit != Exit::locked) {
    const auto missing = mend_after_undo(run_context, [](const std::string&) { return true; }, Booting::awaited,
                                         limits.within(std::max<Milliseconds>(mend_time_of_recovery, run_context.ready_timeout)));
    // All is undone: that what served before does not get ready must not keep its successor from coming.
    if (!missing.empty() && way != RecoveryWay::in_passing) {
      outcome.not_undone.push_back(missing);
      outcome.exit = Exit::undo_failed;
    }
  }
  auto entry = entry_for(*plan, started, owner_);
  const auto& history = observed_.snapshot.history;
  entry.number = observed_.snapshot.next_entry();
  entry.ended = now();
  entry.run = found.run;
  const bool served = recovery_.forward && outcome.done;
  entry.result = served ? "ok" : (outcome.exit == Exit::undo_failed ? "undo failed" : "undone");
  entry.exit = static_cast<int>(served ? Exit::ok : Exit::failed);
  entry.failed_step = died_at;
  entry.message = fmt::format("the run died at step {}; {}", died_at, served ? "the next command finished it" : "the next command undid it");
  seal(entry, history.empty() ? std::string{} : history.back().hash);
  std::vector<target::StateStore::File> files{ReleaseStore::file_of(entry)};
  if (!evidence.empty()) files.push_back({fmt::format("meta/evidence/{}/evidence.json", found.run), evidence});
  if (outcome.exit != Exit::undo_failed) files.push_back(run_journal.entry_file("ended", {}, entry.result));
  write_end(files, limits);
  if (!served) recovery_.undone = plan->verb;
  recovery_.text = served ? fmt::format("finished {} {} (release {}), which had died at step {}", plan->verb, plan->version, plan->release, died_at)
                          : fmt::format("undid {} {} (release {}), which had died at step {}", plan->verb, plan->version, plan->release, died_at);
  if (outcome.exit == Exit::undo_failed) {
    throw Failure{Exit::undo_failed,
                  fmt::format("the earlier {} of {} could not be undone: {}", plan->verb, plan->version, fmt::join(outcome.not_undone, "; ")),
                  fmt::format("mend that by hand, then: codops resume {}", host_.environment().name)};
  }
  host_.reporter().note(recovery_.text);
  // They follow an outcome, whoever brought it about.
  RunResult result;
  result.plan = *plan;
  result.outcome.done = served;
  run_hooks(run_journal, result, entry.result, served ? limits : Limits{});
  for (const auto& text : result.failed_hooks) host_.reporter().warn(text);
  observe_again(limits);
}

void Transaction::record_finished(const plan::Record& found, const plan::Plan& plan, plan::Journal run_journal, const Limits& limits) {
  auto entry = entry_for(plan, found.entries.front().at, owner_);
  const auto& history = observed_.snapshot.history;
  entry.number = observed_.snapshot.next_entry();
  entry.ended = now();
  entry.run = found.run;
  entry.result = "ok";
  entry.message = words_of_finished(found, plan);
  seal(entry, history.empty() ? std::string{} : history.back().hash);
  std::vector<target::StateStore::File> files{ReleaseStore::file_of(entry)};
  if (const auto open = found.open_hooks(); !open.empty()) files.push_back(run_journal.entry_file("done", open, "not known"));
  files.push_back(run_journal.entry_file("ended", {}, entry.result));
  write_end(files, limits);
  recovery_.forward = true;
  recovery_.text = fmt::format("recorded {} {} (release {}), which serves: {}", plan.verb, plan.version, plan.release, entry.message);
  host_.reporter().note(recovery_.text);
  observe_again(limits);
}

void Transaction::settle_hooks(const Limits& limits) {
  if (observed_.snapshot.journals.empty()) return;
  const auto& record = observed_.snapshot.journals.back();
  const auto open = record.open_hooks();
  if (open.empty()) return;
  auto run_journal = journal_after(record);
  recovery_.needed = true;
  const auto words = words_of_open_hooks(record);
  recovery_.text += (recovery_.text.empty() ? "" : "; ") + words;
  host_.reporter().note(words);
  lock_->write({run_journal.entry_file("done", open, "not known")}, limits);
  observe_again(limits);
}

void Transaction::close_journal(const Limits& limits) {
  const auto& journals = observed_.snapshot.journals;
  if (journals.empty() || journals.back().ended()) return;
  const auto& record = journals.back();
  const auto& history = observed_.snapshot.history;
  const auto entry = std::find_if(history.rbegin(), history.rend(), [&](const auto& one) { return one.run == record.run; });
  auto run_journal = journal_after(record);
  recovery_.needed = true;
  recovery_.forward = entry->result == "ok";
  recovery_.text = fmt::format("the journal of {} {} (release {}) had no end; the history has it: {}", entry->action, entry->version, entry->release, entry->result);
  host_.reporter().note(recovery_.text);
  lock_->write({run_journal.entry_file("ended", {}, entry->result)}, limits);
  observe_again(limits);
}

}  // namespace codops::ops
