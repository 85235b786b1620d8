#include "lib/ops/kubernetes/evidence.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "lib/base/secret.hpp"
#include "lib/engine/kubernetes/api.hpp"
#include "lib/io/crypto.hpp"

namespace codops::ops::kubernetes {
namespace {

using Json = nlohmann::json;

constexpr std::size_t log_lines = 100;
constexpr std::size_t longest_line = 2000;
constexpr std::size_t most_events = 60;
constexpr std::size_t shortest_secret = 6;  // hiding shorter values would hide ordinary words
constexpr Milliseconds one_log{3000};

void add_value(const std::string& value, std::vector<std::string>& values) {
  std::size_t start = 0;
  while (start < value.size()) {
    auto end = value.find('\n', start);
    if (end == std::string::npos) end = value.size();
    if (end - start >= shortest_secret) values.push_back(value.substr(start, end - start));
    start = end + 1;
  }
}

// Values of the release's Secrets: an application may have logged them.
std::vector<std::string> secrets_of(const ObjectsByKey& objects) {
  std::vector<std::string> values;
  for (const auto& [key, object] : objects) {
    if (object.kind() != "Secret") continue;
    const auto& json = object.json();
    for (const char* field : {"data", "stringData"}) {
      if (!json.contains(field) || !json.at(field).is_object()) continue;
      for (const auto& [name, value] : json.at(field).items()) {
        if (!value.is_string()) continue;
        const auto text = value.get<std::string>();
        if (std::string_view{field} == "stringData") add_value(text, values);
        else if (const auto plain = io::from_base64(text)) add_value(*plain, values);
      }
    }
  }
  std::sort(values.begin(), values.end(), [](const auto& a, const auto& b) { return a.size() > b.size(); });
  return values;
}

std::string hidden(std::string text, const std::vector<std::string>& secrets) {
  for (const auto& secret : secrets) {
    for (auto at = text.find(secret); at != std::string::npos; at = text.find(secret, at + Secret::shown.size())) text.replace(at, secret.size(), Secret::shown);
  }
  return redact_urls_in(text);
}

Json lines_of(RunContext& context, const kube::Evidence& place, const std::vector<std::string>& secrets, const Limits& limits) {
  std::string text;
  k8s::LogOptions options;
  options.container = place.container;
  options.previous = place.kind == kube::Evidence::Kind::previous_logs;
  options.tail = log_lines;
  context.cluster.api().logs(place.object.namespace_, place.object.name, options, [&](std::string_view bytes) { text += bytes; }, limits.within(one_log));
  Json lines = Json::array();
  std::size_t start = 0;
  while (start < text.size()) {
    auto end = text.find('\n', start);
    if (end == std::string::npos) end = text.size();
    lines.push_back(hidden(text.substr(start, std::min(end - start, longest_line)), secrets));
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

Json events_about(RunContext& context, const kube::Ref& ref, const std::vector<std::string>& secrets, const Limits& limits) {
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
                      {"action", hidden(fmt::format("{}: {}{}", event.value("reason", ""), event.value("message", ""), count > 1 ? fmt::format(" (×{})", count) : ""), secrets)},
                      {"exit_code", ""}});
  }
  return events;
}

}  // namespace

std::string collect_evidence(RunContext& context, const std::string& step, const std::string& message, const Limits& limits) {
  Json json{{"format", 1}, {"step", step}, {"message", message}, {"containers", Json::array()}, {"events", Json::array()}};
  try {
    const auto secrets = secrets_of(context.next_objects);
    json["message"] = hidden(message, secrets);
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
