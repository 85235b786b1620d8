#include "commands/host.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "lib/base/units.hpp"
#include "lib/ops/time_account.hpp"

namespace codops::commands {
namespace {

using Json = nlohmann::ordered_json;

double seconds_of(Milliseconds time) { return static_cast<double>(time.count()) / 1000; }

Json json_of(const ops::TimeAccount& account) {
  return {{"total", seconds_of(account.total)}, {"waited", seconds_of(account.waited)}, {"engine", seconds_of(account.engine)}, {"boot", seconds_of(account.boot)},
          {"companions", seconds_of(account.companions)}, {"hooks", seconds_of(account.hooks)}, {"drain", seconds_of(account.drain)}, {"monitor", seconds_of(account.monitor)},
          {"own", seconds_of(account.own)}};
}

std::string json_of(const ops::DeployResult& result, const std::string& environment) {
  const auto& run = result.run;
  Json json;
  json["exit"] = static_cast<int>(run.exit);
  json["environment"] = environment;
  json["verb"] = run.plan.verb;
  json["release"] = run.no_op ? run.plan.from : run.plan.release;
  json["version"] = run.plan.version;
  json["from"] = run.plan.from;
  json["from_version"] = run.plan.from_version;
  json["changed"] = !run.no_op && !result.dry_run && run.outcome.done;
  json["dry_run"] = result.dry_run;
  json["steps"] = Json::array();
  for (const auto& step : run.plan.steps) {
    Json entry{{"name", step.name}, {"text", step.text}, {"mutates", step.mutates}, {"undo", step.undo}, {"no_undo", step.no_undo}};
    for (const auto& timing : run.outcome.timings) {
      if (timing.step == step.name) entry["seconds"] = seconds_of(timing.elapsed);
    }
    json["steps"].push_back(std::move(entry));
  }
  json["warnings"] = run.plan.warnings;
  for (const auto& text : run.failed_hooks) json["warnings"].push_back(text);
  json["notes"] = run.plan.notes;
  json["downtime"] = run.plan.downtime;
  json["untouched"] = run.plan.untouched;
  json["seconds"] = seconds_of(run.elapsed);
  json["time"] = json_of(ops::time_account(run));
  json["engine_seconds"] = Json::object();
  for (const auto& [what, time] : run.engine_time) json["engine_seconds"][what] = seconds_of(time);
  json["front_door"] = {{"asked", run.front_door_asked}, {"answered", run.front_door_answered}};
  if (run.outcome.failure) {
    json["failed_step"] = run.outcome.failed_step;
    json["error"] = run.outcome.failure->message();
    json["hint"] = run.outcome.failure->hint();
    json["undone"] = run.outcome.undone;
    json["remains"] = run.outcome.not_undone;
  }
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string success_text(const ops::DeployResult& result, const std::string& environment) {
  const auto& run = result.run;
  auto text = fmt::format("{} runs {} (release {}) · {}", environment, run.plan.version, run.plan.release, format_duration(run.elapsed));
  if (run.front_door_asked > 0) text += fmt::format(" · front door: {} of {} probes answered", run.front_door_answered, run.front_door_asked);
  text += "\n";
  if (result.data_alone && !result.data_alone->empty()) {
    text += fmt::format("  back:  a rollback never touches data: set the old definition of {} in the compose file, then codops deploy {} {} --allow-downtime\n",
                        fmt::join(*result.data_alone, ", "), environment, run.plan.from_version);
  } else if (!result.data_alone && run.plan.from != 0 && run.plan.from != run.plan.release && run.plan.verb != "rollback") {
    text += fmt::format("  back:  codops rollback {}      (release {} is kept)\n", environment, run.plan.from);
  }
  for (const auto& failed : run.failed_hooks) text += "  hook:  " + failed + "\n";
  text += "  time:  " + to_text(ops::time_account(run)) + "\n";
  return text;
}

[[noreturn]] void fail(const ops::DeployResult& result, const std::string& environment) {
  const auto& run = result.run;
  const auto& failure = *run.outcome.failure;
  auto text = fmt::format("{} of {} to {} failed at step {} ({}):\n       {}", run.plan.verb, run.plan.version, environment,
                          run.outcome.failed_index + 1, run.outcome.failed_step, failure.message());
  for (const auto& line : run.last_lines) text += "\n  │ " + line;
  if (run.exit == Exit::undo_failed || run.outcome.undo_cut_off) {
    text += "\n  not undone  " + fmt::format("{}", fmt::join(run.outcome.not_undone, "\n              "));
    text += fmt::format("\n  next        codops resume {0} tries again; what is true now: codops status {0}", environment);
  } else if (run.exit == Exit::locked) {
    text += fmt::format("\n  next        whoever holds the lock now recovers this run; what is true: codops status {}", environment);
  } else {
    if (run.plan.from != 0) {
      text += fmt::format("\n  {}   {} (release {}) serves{}", run.exit == Exit::moved_back ? "moved back" : "unchanged ", run.plan.from_version, run.plan.from,
                          run.exit == Exit::failed ? "; traffic never moved" : "");
    } else {
      text += "\n  unchanged   nothing is deployed";
    }
    if (!run.outcome.undone.empty()) text += fmt::format("\n  undone      {}", fmt::join(run.outcome.undone, ", "));
    for (const auto& stays : run.outcome.not_undone) text += "\n  stays       " + stays;
  }
  for (const auto& failed : run.failed_hooks) text += "\n  hook        " + failed;
  // Who lost the lock has written nothing: the number is the successor's, if it is anybody's.
  if (!run.evidence.empty() && run.recorded && run.exit != Exit::locked) text += fmt::format("\n  evidence    codops history {} {} --logs", environment, run.entry.number);
  throw Failure{run.exit, text, failure.hint()};
}

}  // namespace

std::unique_ptr<ops::Engine> open_engine(Services& services, const std::string& environment) {
  return ops::open_engine(services.environment(environment), services.settings_sources().variables, services.reporter(), services.clock());
}

std::unique_ptr<ops::Host> open_host(Services& services, const std::string& environment) {
  return std::make_unique<ops::Host>(services.environment(environment), services.settings_sources().variables, services.reporter(), services.clock());
}

std::function<bool(const std::string&)> asker(Services& services) {
  return [&services](const std::string& question) {
    if (services.options().yes) return question.find("downtime") == std::string::npos;  // --yes does not accept an outage
    if (!services.terminal().in) return false;
    return services.confirm(question);
  };
}

void show_plan(Services& services, const std::string& text) {
  Event event;
  std::istringstream in{text};
  std::getline(in, event.text);
  for (std::string line; std::getline(in, line);) event.details.push_back(line);
  services.reporter().report(event);
}

void require_consent(Services& services, const std::string& environment, const std::string& question) {
  if (!services.environment(environment).protected_) return;
  if (!services.confirm(question)) throw Failure{Exit::failed, "not confirmed", "nothing was changed"};
}

Result ended(const ops::DeployResult& result, const std::string& environment) {
  const auto& run = result.run;
  const auto json = json_of(result, environment);
  std::string warnings;  // the plan that tells them may have scrolled away, or was not shown
  for (const auto& text : run.plan.warnings) warnings += fmt::format("  warning: {}\n", text);
  if (result.dry_run) {
    if (run.no_op) return {Exit::ok, fmt::format("{} already runs {}: nothing would change\n{}", environment, result.previous, warnings), json};
    return {Exit::ok, result.plan_text, json};
  }
  if (!result.enough.empty()) {
    return {Exit::ok, fmt::format("{} runs {}: {}, which was the rollback\n  once more, or with --to, goes back further\n", environment,
                                  result.previous.empty() ? "nothing" : result.previous, result.enough), json};
  }
  if (run.no_op) {
    return {Exit::ok, fmt::format("{} already runs {}: nothing to do\n  --force makes a new set anyway\n{}", environment, result.previous, warnings), json};
  }
  if (run.outcome.failure) fail(result, environment);
  // Only what follows the outcome was cut off.
  if (run.exit != Exit::ok) {
    throw Failure{run.exit, fmt::format("{} runs {} (release {}), which stays; {}", environment, run.plan.version, run.plan.release, fmt::join(run.failed_hooks, "; ")),
                  "what was cut off is not run again by itself"};
  }
  return {Exit::ok, success_text(result, environment) + warnings, json, true};
}

}  // namespace codops::commands
