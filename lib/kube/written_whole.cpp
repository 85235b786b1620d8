#include "lib/kube/written_whole.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/kube/fields.hpp"
#include "lib/kube/pod_view.hpp"
#include "lib/kube/window.hpp"

namespace codops::kube {
namespace {

using Json = nlohmann::json;

// Leaves that others than codops own; what controllers write into subresources is none of it.
std::vector<FieldPath> fields_of_others(const Object& live) {
  static const Json::json_pointer at{"/metadata/managedFields"};
  std::vector<FieldPath> fields;
  if (!live.json().is_object() || !live.json().contains(at) || !live.json().at(at).is_array()) return fields;
  for (const auto& entry : live.json().at(at)) {
    const auto manager = text_in(entry, "/manager");
    if (manager == "codops" || manager == window_manager || !text_in(entry, "/subresource").empty()) continue;
    for (auto& path : leaves_of(entry.value("fieldsV1", Json::object()))) fields.push_back(std::move(path));
  }
  return fields;
}

Json::json_pointer template_of(const Object& object) {
  const auto spec = pod_spec_pointer(object);
  return spec.empty() || spec == "/spec" ? Json::json_pointer{} : Json::json_pointer{spec}.parent_pointer();
}

}  // namespace

bool others_wrote_pods(const Object& live) {
  if (template_of(live).empty()) return false;
  const auto fields = fields_of_others(live);
  return std::any_of(fields.begin(), fields.end(), [](const FieldPath& path) {
    return std::any_of(path.begin(), path.end(), [](const FieldStep& step) { return step.kind == FieldStep::Kind::name && step.text == "template"; });
  });
}

std::optional<Object> written_whole(const Object& live, const Object& wanted) {
  const auto at = template_of(live);
  if (at.empty() || !wanted.json().contains(at) || !others_wrote_pods(live)) return std::nullopt;
  auto whole = live;
  auto& json = whole.edit();
  json["metadata"].erase("managedFields");
  json.erase("status");
  json[at] = Json();
  unite(json, wanted.json());
  json["metadata"]["resourceVersion"] = live.resource_version();
  return whole;
}

bool others_changed(const Object& live, const Object& record) {
  if (template_of(live).empty() || live.kind() == "Job") return false;
  const auto fields = fields_of_others(live);
  return std::any_of(fields.begin(), fields.end(), [&](const FieldPath& path) {
    if (path.empty() || path.front().text != "spec") return false;
    if (path.size() == 2 && path.back().text == "replicas") return false;
    const auto* theirs = value_at(live.json(), path);
    const auto* ours = value_at(record.json(), path);
    return theirs != nullptr && (ours == nullptr || !is_within(*ours, *theirs));
  });
}

}  // namespace codops::kube
