#include "lib/engine/kubernetes/managed_fields.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/engine/json_fields.hpp"

namespace codops::engine::kubernetes {
namespace {

using nlohmann::json;

// A set of fields is a tree of objects: "f:spec": {"f:replicas": {}}.
void unite_fields(json& into, const json& more) {
  if (!more.is_object()) return;
  if (!into.is_object()) into = json::object();
  for (const auto& [name, below] : more.items()) unite_fields(into[name], below);
}

bool is_applied_by(const json& entry, const std::string& manager) {
  return text_at(entry, {"manager"}) == manager && text_at(entry, {"operation"}) == "Apply" && text_at(entry, {"subresource"}).empty();
}

}  // namespace

std::optional<json> adopted_fields(const json& live, const std::vector<std::string>& managers, const std::string& to) {
  const auto api_version = text_at(live, {"apiVersion"});
  json kept = json::array();
  json ours{{"manager", to}, {"operation", "Apply"}, {"apiVersion", api_version}, {"fieldsType", "FieldsV1"}, {"fieldsV1", json::object()}};
  bool any = false;
  for (const auto& entry : field(live, {"metadata", "managedFields"})) {
    const bool taken = std::find(managers.begin(), managers.end(), text_at(entry, {"manager"})) != managers.end() &&
                       text_at(entry, {"subresource"}).empty() && text_at(entry, {"apiVersion"}) == api_version;
    if (taken || is_applied_by(entry, to)) {
      any = any || taken;
      unite_fields(ours["fieldsV1"], field(entry, {"fieldsV1"}));
      if (const auto time = text_at(entry, {"time"}); !time.empty()) ours["time"] = time;
    } else {
      kept.push_back(entry);
    }
  }
  if (!any) return std::nullopt;
  kept.push_back(std::move(ours));
  return kept;
}

}  // namespace codops::engine::kubernetes
