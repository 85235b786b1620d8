#pragma once
// A workload with all that belongs to it, as a real cluster had it: observations/NAME.json.
#include <nlohmann/json.hpp>

#include "lib/io/files.hpp"
#include "lib/kube/rollout.hpp"
#include "tests/support/source_dir.hpp"

inline codops::kube::Observation observation(const std::string& name) {
  const auto json = nlohmann::json::parse(codops::io::read_file(codops::tests::source_dir() + "/tests/unit/kube/observations/" + name + ".json"));
  codops::kube::Observation observed;
  observed.workload = codops::kube::Object{json["workload"]};
  observed.generation = json["generation"].get<std::int64_t>();
  for (const auto& child : json["children"]) observed.children.emplace_back(child);
  for (const auto& pod : json["pods"]) observed.pods.emplace_back(pod);
  for (const auto& event : json["events"]) observed.events.emplace_back(event);
  return observed;
}
