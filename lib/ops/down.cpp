#include "lib/ops/down.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/engine/docker/api.hpp"
#include "lib/ops/carried_volumes.hpp"
#include "lib/ops/down_steps.hpp"
#include "lib/ops/maintenance.hpp"
#include "lib/ops/mounted_files.hpp"
#include "lib/ops/observe.hpp"
#include "lib/ops/run_record.hpp"
#include "lib/ops/transaction.hpp"
#include "lib/plan/fault.hpp"

namespace codops::ops {
namespace {

constexpr Milliseconds undo_time_of_down{60'000};
// After a signal it has to fit into the seconds that CI leaves before its SIGKILL.
constexpr Milliseconds undo_time_of_down_after_signal{7'000};
constexpr Milliseconds record_time_of_down{10'000};

std::string project_filter(const Host& host) { return "com.docker.compose.project=" + host.project(); }

std::string state_of_project(const Host& host) { return "codops-" + host.project() + "-state"; }

DownPlan plan_of(Host& host, bool with_volumes, const Observed& observed, const std::string& run, const Limits& limits) {
  DownPlan plan;
  plan.with_data = with_volumes;
  for (const auto& container : host.api().containers({{"label", {project_filter(host)}}}, true, limits)) plan.containers.push_back(container.name);
  for (const auto& network : host.api().networks({{"label", {project_filter(host)}}}, limits)) plan.networks.push_back(network.name);
  if (with_volumes) {
    for (const auto& volume : host.api().volumes({{"label", {project_filter(host)}}}, limits)) plan.volumes.push_back(volume.name);
    // Those that went over from container to container are not removed with any of them.
    std::set<std::string> unnamed;
    const auto release = serving(observed, host.project());
    for (const auto& container : observed.containers) {
      const auto* service = release ? release->service(container.service) : nullptr;
      for (const auto& mount : container.mounts) {
        if (is_unnamed(mount) && (service == nullptr || !is_folder_of_files(*service, mount.destination))) unnamed.insert(mount.source);
      }
    }
    plan.volumes.insert(plan.volumes.end(), unnamed.begin(), unnamed.end());
    plan.state = !observed.snapshot.paths.empty();
  }
  plan.on_record = observed.snapshot.current() != nullptr || observed.snapshot.unfinished() != nullptr;
  std::string data = plan.volumes.empty() ? "" : fmt::format(" and {} VOLUMES WITH THEIR DATA: {}", plan.volumes.size(), fmt::join(plan.volumes, ", "));
  if (plan.state) data += " and THE HISTORY";
  plan.text = fmt::format("{} containers, {} networks{}", plan.containers.size(), plan.networks.size(), with_volumes ? data : " (volumes stay)");
  nlohmann::json json{{"exit", 0}, {"containers", plan.containers}, {"networks", plan.networks}, {"volumes", plan.volumes}, {"steps", nlohmann::json::array()}};
  const auto steps = steps_of_down(plan, observed, serving(observed, host.project()), host.environment().name, run);
  plan.steps = plan::steps_text(steps);
  for (const auto& step : steps.steps) {
    json["steps"].push_back({{"name", step.name}, {"text", step.text}, {"undo", step.undo}, {"no_undo", step.no_undo}});
  }
  plan.json = json.dump();
  return plan;
}

void add_others(const std::vector<std::string>& there, const std::vector<std::string>& agreed, std::vector<std::string>& more) {
  for (const auto& name : there) {
    if (std::find(agreed.begin(), agreed.end(), name) == agreed.end()) more.push_back(name);
  }
}

// What was not there when the user was asked.
void require_agreement(const DownPlan& there, const DownPlan& agreed, const DownRequest& request, const std::string& environment) {
  std::vector<std::string> more;
  add_others(there.containers, agreed.containers, more);
  add_others(there.networks, agreed.networks, more);
  add_others(there.volumes, agreed.volumes, more);
  if (more.empty()) return;
  const auto what = fmt::format("{} came since you were asked", fmt::join(more, ", "));
  if (request.confirm && request.confirm(fmt::format("{}; remove {} of {}?", what, there.text, environment))) return;
  throw Failure{Exit::failed, "not confirmed: " + what, fmt::format("nothing was changed; codops down {} asks for all that is there now", environment)};
}

[[noreturn]] void stopped_half_way(const plan::Plan& plan, const DownOutcome& outcome, const std::string& environment) {
  const auto& failure = *outcome.failure;
  throw Failure{failure.code() == Exit::ok ? Exit::failed : failure.code(),
                fmt::format("down of {} stopped at step {}: {}; a part of it is removed, which can't be undone", environment, plan.steps[outcome.failed].name, failure.message()),
                fmt::format("codops resume {} finishes it, and so does the next changing command{}", environment,
                            failure.hint().empty() ? "" : "; " + failure.hint())};
}

}  // namespace

DownPlan plan_down(Host& host, bool with_volumes, const Limits& limits) {
  const auto observed = observe(host.api(), host.store(), host.project(), host.environment().proxy.upstreams, limits);
  host.require_owner(observed.snapshot);
  return plan_of(host, with_volumes, observed, "dry-run", limits);
}

DownPlan down(Host& host, const DownPlan& agreed, const DownRequest& request, const Limits& limits) {
  const auto& environment = host.environment().name;
  Transaction transaction{host, request.command, {request.lock_wait}, limits};
  const auto current = serving(transaction.observed(), host.project());
  const auto what = plan_of(host, request.volumes, transaction.observed(), transaction.token(), limits);
  require_agreement(what, agreed, request, environment);
  const auto began = transaction.now();
  const auto plan = steps_of_down(what, transaction.observed(), current, environment, transaction.token());
  auto context = transaction.context(current.value_or(release::Release{}), current, Desired{});
  auto journal = transaction.journal(run_name(began, transaction.token(), newest_run(transaction.observed().snapshot)), 1);
  const plan::Faults faults;
  DownOutcome outcome;
  if (!plan.steps.empty()) {
    const auto& first = plan.steps.front();
    faults.at("before", "plan");
    transaction.write_whole({journal.entry_file("planned", {}, plan.verb + " " + plan.version, to_json(plan)), journal.entry_file("doing", first.name, first.text)}, limits);
    faults.at("after", "plan");
    outcome = run_down(context, plan, journal, 0, true, limits);
  }
  auto entry = entry_for(plan, began, {});
  entry.run = plan.steps.empty() ? std::string{} : journal.run();
  entry.from = 0;
  entry.from_version.clear();
  if (outcome.failure) {
    const auto failure = *outcome.failure;
    if (failure.code() == Exit::locked) throw failure;
    if (outcome.begun > point_of_no_return(plan)) stopped_half_way(plan, outcome, environment);
    const bool by_signal = failure.code() == Exit::interrupted || failure.code() == Exit::terminated;
    try {
      undo_down(context, plan, journal, outcome.failed, Limits{Deadline::after(by_signal ? undo_time_of_down_after_signal : undo_time_of_down), {}});
    } catch (const Failure& why) {
      if (why.code() == Exit::locked) throw;
      throw Failure{Exit::undo_failed, fmt::format("down of {} stopped at step {}: {}; what it had stopped could not be started again: {}", environment,
                                                   plan.steps[outcome.failed].name, failure.message(), why.message()),
                    fmt::format("codops resume {} tries again", environment)};
    }
    entry.result = "undone";
    entry.exit = static_cast<int>(failure.code());
    entry.failed_step = plan.steps[outcome.failed].name;
    entry.message = failure.message();
    transaction.record(entry, Limits{}.within(record_time_of_down), {journal.entry_file("ended", {}, entry.result)});
    throw Failure{failure.code(), fmt::format("down of {} stopped at step {}: {}; what it had stopped runs again", environment, entry.failed_step, failure.message()),
                  failure.hint().empty() ? "nothing was removed" : "nothing was removed; " + failure.hint()};
  }
  entry.result = "ok";
  faults.at("before", "record");
  if (current || !plan.steps.empty()) {
    std::vector<target::StateStore::File> more;
    if (!plan.steps.empty()) more.push_back(journal.entry_file("ended", {}, entry.result));
    if (transaction.observed().snapshot.maintenance) more.push_back(maintenance_off());
    try {
      transaction.record(entry, Limits{}.within(record_time_of_down), std::move(more));
    } catch (const Failure& failure) {
      if (failure.code() == Exit::locked) throw;
      throw Failure{failure.code(), fmt::format("everything of {} is removed, and that could not be recorded: {}", environment, failure.message()),
                    fmt::format("{}codops resume {} records it", failure.hint().empty() ? "" : failure.hint() + "; ", environment)};
    }
  }
  faults.at("after", "record");
  if (!outcome.left_volumes.empty()) {
    throw Failure{Exit::failed, fmt::format("{} is down, and its volumes {} stay with their data: other containers use them", environment, fmt::join(outcome.left_volumes, ", ")),
                  fmt::format("docker ps -a --filter volume={}; remove those, then: codops down {} --volumes", outcome.left_volumes.front(), environment)};
  }
  if (request.volumes) {
    transaction.release_lock();  // its container has the volume
    host.api().remove_container(state_of_project(host), true, true, limits);
    host.api().remove_volume(state_of_project(host), limits);
  }
  return what;
}

}  // namespace codops::ops
