#include "lib/kube/replicas.hpp"

#include <nlohmann/json.hpp>

namespace codops::kube {
namespace {

using Json = nlohmann::json;

}  // namespace

bool has_replicas(const Object& object) {
  const auto kind = object.kind();
  return object.group() == "apps" && (kind == "Deployment" || kind == "StatefulSet" || kind == "ReplicaSet");
}

std::optional<int> replicas_of(const Object& object) {
  const Json::json_pointer at{"/spec/replicas"};
  if (!has_replicas(object) || !object.json().contains(at) || !object.json().at(at).is_number_integer()) return std::nullopt;
  return object.json().at(at).get<int>();
}

std::optional<int> replicas_to_restore(std::optional<int> written, std::optional<int> now, int before) {
  return written && now == written && before != *written ? std::optional{before} : std::nullopt;
}

Object with_open_replicas(Object object) {
  if (replicas_of(object)) object.edit()["spec"].erase("replicas");
  return object;
}

std::string replicas_release(const Object& live, const Object& desired, const std::string& manager) {
  const Json::json_pointer entries{"/metadata/managedFields"}, field{"/fieldsV1/f:spec/f:replicas"}, parent{"/fieldsV1/f:spec"};
  if (!has_replicas(live) || replicas_of(desired) || !live.json().contains(entries)) return {};
  auto kept = live.json().at(entries);
  bool owned = false;
  for (auto& entry : kept) {
    if (entry.value("manager", "") != manager || entry.value("operation", "") != "Apply" || !entry.value("subresource", "").empty() || !entry.contains(field)) continue;
    entry[parent].erase("f:replicas");
    owned = true;
  }
  if (!owned) return {};
  return Json::array({{{"op", "replace"}, {"path", "/metadata/resourceVersion"}, {"value", live.resource_version()}},
                      {{"op", "replace"}, {"path", "/metadata/managedFields"}, {"value", std::move(kept)}}})
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace codops::kube
