#include "lib/ops/down_steps.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/base/parallel.hpp"
#include "lib/engine/docker/api.hpp"
#include "lib/ops/actions.hpp"
#include "lib/ops/members.hpp"
#include "lib/ops/mounted_files.hpp"
#include "lib/plan/fault.hpp"

namespace codops::ops {
namespace {

using Json = nlohmann::json;
using release::Release;
using release::Role;
using release::ServiceRecord;

constexpr int usual_grace = 10;  // seconds, of a container that no release names
constexpr std::size_t stops_at_once = 8;

struct Known {
  const ServiceRecord* service{};
  const release::Member* member{};
};

Known known_as(const std::optional<Release>& current, const std::string& container) {
  if (!current) return {};
  for (const auto& service : current->services) {
    for (const auto& member : service.members) {
      if (member.container == container) return {&service, &member};
    }
  }
  return {};
}

// What the undo of "stop" reads too (action_stop.cpp).
Json to_rest(const std::string& name, const Known& known, const Observed& observed) {
  if (known.service != nullptr) {
    return {{"service", known.service->name}, {"container", name}, {"address", known.member->address}, {"grace", known.service->stop_grace_seconds},
            {"restart", known.service->restart}};
  }
  const auto* container = observed.container(name);
  const auto policy = container == nullptr || container->restart_policy.empty() ? std::string{"no"} : container->restart_policy;
  const auto service = container == nullptr ? std::string{} : container->service;
  auto address = std::string{};
  if (container != nullptr) {
    if (const auto joined = container->addresses.find(observed.traffic.name); joined != container->addresses.end()) address = joined->second;
  }
  return {{"service", service}, {"container", name}, {"address", address}, {"grace", usual_grace}, {"restart", policy}};
}

plan::Step down_step(std::string name, std::string text, Json args) {
  plan::Step step;
  step.name = step.kind = std::move(name);
  step.text = std::move(text);
  step.args = args.dump();
  return step;
}

std::string stopped_in(RunContext& context, const Json& args, const Limits& limits) {
  std::vector<Leaving> leaving;
  for (const auto& member : args.at("members")) leaving.push_back({member.at("container"), member.at("grace")});
  return fmt::format("{} stopped", stop_members(context, leaving, limits));
}

std::string removed_in(RunContext& context, const Json& args, const Limits& limits) {
  const auto names = args.at("containers").get<std::vector<std::string>>();
  const bool with_data = args.at("with_data");
  in_parallel(names.size(), stops_at_once, [&](std::size_t index) {
    context.require_lock();
    context.api.remove_container(names[index], true, with_data, limits);
  });
  remove_unused_folders(context.api, context.project, limits);
  return fmt::format("{} removed", names.size());
}

// Of those that others use, the names are added to `left`.
template <typename Remove>
std::string removed_unless_used(RunContext& context, const Json& names, std::vector<std::string>& left, const Remove& remove) {
  std::size_t gone = 0;
  for (const auto& entry : names) {
    const auto name = entry.get<std::string>();
    context.require_lock();
    try {
      remove(name);
      ++gone;
    } catch (const engine::docker::ApiError& error) {
      // 403: containers are on the network; 409: a container has the volume.
      if (error.status() != 403 && error.status() != 409) throw;
      context.reporter.warn(fmt::format("{} stays: containers that are not of this environment use it ({})", name, error.message()));
      left.push_back(name);
    }
  }
  return fmt::format("{} removed", gone);
}

std::string performed(RunContext& context, const plan::Step& step, DownOutcome& outcome, const Limits& limits) {
  const auto args = Json::parse(step.args);
  if (args.contains("members")) return stopped_in(context, args, limits);
  if (args.contains("containers")) return removed_in(context, args, limits);
  if (args.contains("networks")) {
    return removed_unless_used(context, args.at("networks"), outcome.left_networks, [&](const std::string& name) { context.api.remove_network(name, limits); });
  }
  return removed_unless_used(context, args.at("volumes"), outcome.left_volumes, [&](const std::string& name) { context.api.remove_volume(name, limits); });
}

}  // namespace

plan::Plan steps_of_down(const DownPlan& what, const Observed& observed, const std::optional<Release>& current, const std::string& environment,
                         const std::string& run) {
  plan::Plan plan;
  plan.verb = down_verb;
  plan.environment = environment;
  plan.run = run;
  plan.release = current ? current->number : 0;
  plan.version = current ? current->version : std::string{};
  plan.from = plan.release;
  plan.from_version = plan.version;
  auto front = Json::array(), middle = Json::array(), data = Json::array();
  for (const auto& name : what.containers) {
    const auto* container = observed.container(name);
    if (container != nullptr && !container->running()) continue;
    const auto known = known_as(current, name);
    const auto role = known.service == nullptr ? Role::stateless : known.service->role;
    (role == Role::proxy ? front : role == Role::stateful ? data : middle).push_back(to_rest(name, known, observed));
  }
  const auto add_stop = [&](const char* name, const char* text, Json members) {
    if (members.empty()) return;
    const auto count = members.size();
    auto step = down_step(name, fmt::format("{} ×{}", text, count), Json{{"members", std::move(members)}});
    step.undo = "start";
    plan.steps.push_back(std::move(step));
  };
  add_stop("stop-front", "the front", std::move(front));
  add_stop("stop", "containers", std::move(middle));
  add_stop("stop-data", "what keeps data", std::move(data));
  const auto add_removal = [&](const char* name, const std::string& text, Json args, const char* why) {
    auto step = down_step(name, text, std::move(args));
    step.no_undo = why;
    plan.steps.push_back(std::move(step));
  };
  if (!what.containers.empty()) {
    add_removal("remove", fmt::format("- {} containers", what.containers.size()), Json{{"containers", what.containers}, {"with_data", what.with_data}},
                "a deploy makes them again");
  }
  if (!what.networks.empty()) {
    add_removal("networks", fmt::format("- {}", fmt::join(what.networks, ", ")), Json{{"networks", what.networks}}, "a deploy makes them again");
  }
  if (!what.volumes.empty()) {
    add_removal("volumes", fmt::format("- {}", fmt::join(what.volumes, ", ")), Json{{"volumes", what.volumes}}, "their data is lost");
  }
  plan.context = Json{{"current", current ? Json::parse(to_json(*current)) : Json()}}.dump();
  return plan;
}

std::size_t point_of_no_return(const plan::Plan& plan) {
  for (std::size_t index = 0; index < plan.steps.size(); ++index) {
    if (plan.steps[index].undo.empty()) return index;
  }
  return plan.steps.size();
}

DownOutcome run_down(RunContext& context, const plan::Plan& plan, plan::Journal& journal, std::size_t first, bool first_written, const Limits& limits) {
  DownOutcome outcome;
  const plan::Faults faults;
  for (std::size_t index = first; index < plan.steps.size(); ++index) {
    const auto& step = plan.steps[index];
    const auto began = context.clock.steady();
    const auto took = [&] { return std::chrono::duration_cast<Milliseconds>(context.clock.steady() - began); };
    try {
      limits.check("step \"" + step.name + "\"");
      if (index != first || !first_written) journal.write("doing", step.name, step.text, limits);
      outcome.begun = index + 1;
      faults.at("before", step.name);
      context.reporter.report({Event::Kind::started, step.name, step.text, {}, {}, {}, {}});
      const auto text = performed(context, step, outcome, limits);
      faults.at("after", step.name);
      context.reporter.report({Event::Kind::done, step.name, text, {}, took(), {}, {}});
    } catch (const Failure& failure) {
      context.reporter.report({Event::Kind::failed, step.name, failure.message(), {}, took(), {}, {}});
      outcome.failure = failure;
      outcome.failed = index;
      return outcome;
    }
  }
  return outcome;
}

void undo_down(RunContext& context, const plan::Plan& plan, plan::Journal& journal, std::size_t last, const Limits& limits) {
  const plan::Faults faults;
  const auto starting = stop_action(context);
  for (std::size_t index = std::min(last + 1, plan.steps.size()); index-- > 0;) {
    const auto& step = plan.steps[index];
    if (step.undo.empty()) continue;
    const auto began = context.clock.steady();
    journal.write("undoing", step.name, {}, limits);
    faults.at("undo", step.name);
    starting->undo(step, limits);
    context.reporter.report({Event::Kind::undone, step.name, step.undo, {}, std::chrono::duration_cast<Milliseconds>(context.clock.steady() - began), {}, {}});
  }
}

}  // namespace codops::ops
