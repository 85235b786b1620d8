#include "lib/ops/kubernetes/evidence.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "lib/engine/kubernetes/api.hpp"
#include "lib/ops/kubernetes/release_secrets.hpp"

namespace codops::ops::kubernetes {
namespace {

using Json = nlohmann::json;

constexpr std::size_t log_lines = 100;
constexpr std::size_t longest_line = 2000;
constexpr std::size_t most_events = 60;
constexpr Milliseconds one_log{3000};

Json lines_of(RunContext& context, const kube::Evidence& place, const KnownSecrets& secrets, const Limits& limits) {
  std::string text;
  k8s::LogOptions options;
  options.container = place.container;
  options.previous = place.kind == kube::Evidence::Kind::previous_logs;
  options.tail = log_lines;
  context.cluster.api().logs(place.object.namespace_, place.object.name, options, [&](std::string_view bytes) { text += bytes; }, limits.within(one_log));
  // Before it is cut into lines: a value may go over several.
  text = secrets.hide(text);
  Json lines = Json::array();
  std::size_t start = 0;
  while (start < text.size()) {
    auto end = text.find('\n', start);
    if (end == std::string::npos) end = text.size();
    lines.push_back(text.substr(start, std::min(end - start, longest_line)));
    start = end + 1;
  }
  return lines;
}

// The state that the container is or was in.
void describe_container(RunContext& context, const kube::Evidence& place, Json& entry, const Limits& limits) {
  const auto pod = context.cluster.api().find({"v1", "Pod", place.object.namespace_, place.object.name}, limits);
  if (!pod || !pod->contains("status")) return;
  for (const char* list : {"containerStatuses", "initContainerStatuses"}) {
    for (const auto& status : pod->at("status").value(list, Json::array())) {
      if (status.value("name", "") != place.container) continue;
      entry["image"] = status.value("image", "");
      entry["restart_count"] = status.value("restartCount", 0);
      for (const char* when : {"state", "lastState"}) {
        const auto ended = status.value(when, Json::object()).value("terminated", Json::object());
        if (ended.empty()) continue;
        entry["exit_code"] = ended.value("exitCode", 0);
        entry["oom_killed"] = ended.value("reason", "") == "OOMKilled";
        break;
      }
    }
  }
}

Json events_about(RunContext& context, const kube::Ref& ref, const KnownSecrets& secrets, const Limits& limits) {
  Json events = Json::array();
  auto found = context.cluster.api().list("v1", "Event", ref.namespace_.empty() ? "default" : ref.namespace_,
                                          {{}, fmt::format("involvedObject.kind={},involvedObject.name={}", ref.kind, ref.name)}, limits);
  const auto when = [](const Json& event) {
    for (const char* field : {"lastTimestamp", "eventTime", "firstTimestamp"}) {
      if (event.contains(field) && event.at(field).is_string()) return event.at(field).get<std::string>();
    }
    return std::string{};
  };
  std::sort(found.begin(), found.end(), [&](const auto& a, const auto& b) { return when(a) < when(b); });
  for (const auto& event : found) {
    const auto count = event.contains("count") && event.at("count").is_number() ? event.at("count").get<int>() : 1;
    events.push_back({{"at", when(event)},
                      {"container", ref.text()},
                      {"action", secrets.hide(fmt::format("{}: {}{}", event.value("reason", ""), event.value("message", ""), count > 1 ? fmt::format(" (×{})", count) : ""))},
                      {"exit_code", ""}});
  }
  return events;
}

}  // namespace

std::string collect_evidence(RunContext& context, const std::string& step, const std::string& message, const Limits& limits) {
  Json json{{"format", 1}, {"step", step}, {"message", message}, {"containers", Json::array()}, {"events", Json::array()}};
  try {
    json["message"] = hidden(context, message);
    const auto& secrets = *context.secrets;
    std::set<kube::Ref> asked;
    for (const auto& trouble : context.troubles) {
      for (const auto& place : trouble.evidence) {
        if (place.kind == kube::Evidence::Kind::events) {
          if (!asked.insert(place.object).second || json["events"].size() >= most_events) continue;
          for (auto& event : events_about(context, place.object, secrets, limits)) json["events"].push_back(std::move(event));
          continue;
        }
        const bool previous = place.kind == kube::Evidence::Kind::previous_logs;
        Json entry{{"container", fmt::format("{}/{}{}", place.object.name, place.container, previous ? " (before its last restart)" : "")}, {"log", Json::array()}};
        try {
          describe_container(context, place, entry, limits);
          entry["log"] = lines_of(context, place, secrets, limits);
        } catch (const Failure& failure) {
          if (previous) continue;  // it never ran before
          entry["log_error"] = failure.message();
        }
        json["containers"].push_back(std::move(entry));
      }
    }
    std::stable_sort(json["events"].begin(), json["events"].end(), [](const Json& a, const Json& b) { return a.at("at") < b.at("at"); });
    // Those that said something first: their last lines are what a failure shows.
    std::stable_sort(json["containers"].begin(), json["containers"].end(), [](const Json& a, const Json& b) { return !a.at("log").empty() && b.at("log").empty(); });
  } catch (const std::exception& error) {
    json["incomplete"] = error.what();
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace codops::ops::kubernetes
