#include "lib/ops/evidence.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "lib/engine/docker/api.hpp"
#include "lib/text/utf8.hpp"

namespace codops::ops {
namespace {

using Json = nlohmann::json;
using engine::docker::ContainerDetails;

constexpr std::size_t log_lines = 100;
constexpr std::size_t longest_line = 2000;
constexpr Milliseconds silence{150};

Json describe(RunContext& context, const ContainerDetails& details, const KnownSecrets& secrets, const Limits& limits) {
  Json json{{"container", details.name},
            {"image", details.image},
            {"exit_code", details.exit_code},
            {"oom_killed", details.oom_killed},
            {"restart_count", details.restart_count},
            {"error", secrets.hide(details.error)},
            {"state", static_cast<int>(details.state)}};
  if (details.started) json["started"] = to_rfc3339(*details.started);
  if (details.finished) json["finished"] = to_rfc3339(*details.finished);
  json["health"] = Json::array();
  for (const auto& probe : details.probes) {
    json["health"].push_back({{"at", probe.start ? to_rfc3339(*probe.start) : ""},
                              {"exit_code", probe.exit_code},
                              {"output", text::replace_invalid_utf8(secrets.hide(probe.output).substr(0, longest_line))}});
  }
  json["log"] = Json::array();
  try {
    std::string text;
    const auto keep = [&](std::string_view bytes) { text += bytes; };
    context.api.logs(details.id, {.tail = log_lines}, keep, keep, limits.within(Milliseconds{3000}));
    // Before it is cut into lines: a value may go over several.
    text = secrets.hide(text);
    std::size_t start = 0;
    while (start < text.size()) {
      auto end = text.find('\n', start);
      if (end == std::string::npos) end = text.size();
      json["log"].push_back(text::replace_invalid_utf8(text.substr(start, std::min(end - start, longest_line))));
      start = end + 1;
    }
  } catch (const Failure& failure) {
    json["log_error"] = failure.message();
  }
  return json;
}

// The engine goes on listening for new ones: silence is the end of what was.
std::optional<engine::docker::EngineEvent> next_event(engine::docker::EventStream& events, const Limits& limits) {
  try {
    return events.next(limits.within(silence));
  } catch (const Failure& failure) {
    if (failure.code() != Exit::deadline || limits.deadline.expired()) throw;
    return std::nullopt;
  }
}

bool is_well(const ContainerDetails& details) {
  return details.state == target::RunState::running && details.restart_count == 0 && details.health != target::HealthState::unhealthy;
}

// A container that the engine restarted runs again: how it ended is in the events only.
void add_last_exits(Json& json) {
  for (auto& container : json["containers"]) {
    if (container.at("exit_code") != 0) continue;
    for (const auto& event : json["events"]) {
      if (event.at("action") != "die" || event.at("container") != container.at("container")) continue;
      container["exit_code"] = std::atoi(event.at("exit_code").get_ref<const std::string&>().c_str());
    }
  }
}

std::vector<std::string> members_named(const plan::Step& step) {
  std::vector<std::string> names;
  const auto args = Json::parse(step.args);
  if (args.contains("services")) {
    for (const auto& service : args.at("services")) {
      for (const char* key : {"make", "start"}) {
        for (const auto& name : service.at(key)) names.push_back(name);
      }
    }
  }
  if (args.contains("members")) {
    for (const auto& member : args.at("members")) names.push_back(member.is_string() ? member.get<std::string>() : member.at("container").get<std::string>());
  }
  return names;
}

}  // namespace

std::vector<std::string> suspects(const plan::Plan& plan, const plan::Step& failed) {
  auto names = members_named(failed);
  if (!names.empty()) return names;
  for (const auto& step : plan.steps) {
    if (step.kind != "start" && step.kind != "front") continue;
    const auto more = members_named(step);
    names.insert(names.end(), more.begin(), more.end());
  }
  return names;
}

std::string collect_evidence(RunContext& context, const std::string& step, const std::string& message,
                             const std::vector<std::string>& containers, const Limits& limits) {
  Json json{{"format", 1}, {"step", step}, {"message", redact_urls_in(message)}, {"containers", Json::array()}};
  try {
    const auto& secrets = context.secrets(limits);
    json["message"] = secrets.hide(message);
    std::vector<ContainerDetails> unwell;
    std::vector<ContainerDetails> well;
    for (const auto& name : containers) {
      if (auto details = context.api.find_container(name, limits)) (is_well(*details) ? well : unwell).push_back(std::move(*details));
      else json["missing"].push_back(name);
    }
    for (const auto& details : unwell.empty() ? well : unwell) json["containers"].push_back(describe(context, details, secrets, limits));
    json["events"] = Json::array();
    if (!containers.empty()) {
      const auto now = context.api.client().ask_engine_now(limits);
      auto events = context.api.events({{"type", {"container"}}, {"container", containers}}, now - std::chrono::minutes{10}, limits);
      while (json["events"].size() < 200) {
        const auto event = next_event(*events, limits);
        if (!event) break;
        if (event->action.starts_with("exec_")) continue;
        const auto name = event->attributes.find("name");
        const auto exit = event->attributes.find("exitCode");
        json["events"].push_back({{"at", to_rfc3339(WallTime{Milliseconds{event->time_nano / 1'000'000}})},
                                  {"container", name == event->attributes.end() ? event->id : name->second},
                                  {"action", event->action},
                                  {"exit_code", exit == event->attributes.end() ? "" : exit->second}});
      }
    }
    add_last_exits(json);
  } catch (const Failure& failure) {
    if (failure.code() != Exit::deadline) json["incomplete"] = failure.message();
  } catch (const std::exception& error) {
    json["incomplete"] = error.what();
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::vector<std::string> worst_lines(const std::string& evidence_json, std::size_t lines) {
  std::vector<std::string> tail;
  const auto json = Json::parse(evidence_json, nullptr, false);
  if (!json.is_object() || !json.contains("containers") || json.at("containers").empty()) return tail;
  const auto& log = json.at("containers").front().at("log");
  const auto first = log.size() > lines ? log.size() - lines : 0;
  for (std::size_t index = first; index < log.size(); ++index) tail.push_back(log.at(index));
  return tail;
}

}  // namespace codops::ops
