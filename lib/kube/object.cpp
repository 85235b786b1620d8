#include "lib/kube/object.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "lib/base/ascii.hpp"
#include "lib/kube/schema.hpp"

namespace codops::kube {
namespace {

using Json = nlohmann::json;

std::string text_at(const Json& value, std::initializer_list<std::string_view> path) {
  const Json* at = &value;
  for (const auto name : path) {
    if (!at->is_object()) return {};
    const auto found = at->find(name);
    if (found == at->end()) return {};
    at = &*found;
  }
  return at->is_string() ? at->get<std::string>() : std::string{};
}

Json& metadata_map(Json& object, const char* which) {
  auto& map = object["metadata"][which];
  if (!map.is_object()) map = Json::object();
  return map;
}

}  // namespace

std::string Ref::text() const {
  const bool plain = group.empty() || group == "apps" || group == "batch" || group == "autoscaling";
  const auto lower = ascii_lower(kind);
  return plain ? fmt::format("{}/{}", lower, name) : fmt::format("{}.{}/{}", lower, group, name);
}

Object::Object() : value_{std::make_shared<Json>()} {}
Object::Object(Json value, std::shared_ptr<const text::Node> source)
    : value_{std::make_shared<Json>(std::move(value))}, source_{std::move(source)} {}

Object Object::parse(std::string_view json) {
  auto value = Json::parse(json, nullptr, false);
  if (value.is_discarded()) throw Failure{Exit::unavailable, "the API server's answer is not JSON"};
  return Object{std::move(value)};
}

Json& Object::edit() {
  if (value_.use_count() > 1) value_ = std::make_shared<Json>(*value_);
  return *value_;
}

// Text of a foreign container may not be UTF-8.
std::string Object::dump() const { return value_->dump(-1, ' ', false, Json::error_handler_t::replace); }
bool Object::empty() const noexcept { return value_->is_null(); }
std::string Object::api_version() const { return text_at(*value_, {"apiVersion"}); }

std::string Object::group() const {
  const auto whole = api_version();
  const auto slash = whole.find('/');
  return slash == std::string::npos ? std::string{} : whole.substr(0, slash);
}

std::string Object::version() const {
  const auto whole = api_version();
  const auto slash = whole.find('/');
  return slash == std::string::npos ? whole : whole.substr(slash + 1);
}

std::string Object::kind() const { return text_at(*value_, {"kind"}); }
std::string Object::name() const { return text_at(*value_, {"metadata", "name"}); }
std::string Object::namespace_() const { return text_at(*value_, {"metadata", "namespace"}); }
std::string Object::uid() const { return text_at(*value_, {"metadata", "uid"}); }
std::string Object::resource_version() const { return text_at(*value_, {"metadata", "resourceVersion"}); }

std::int64_t Object::generation() const {
  const auto at = Json::json_pointer{"/metadata/generation"};
  return value_->contains(at) && value_->at(at).is_number_integer() ? value_->at(at).get<std::int64_t>() : 0;
}

Ref Object::ref() const { return {group(), kind(), namespace_(), name()}; }
std::string Object::label(std::string_view key) const { return text_at(*value_, {"metadata", "labels", key}); }
std::string Object::annotation(std::string_view key) const { return text_at(*value_, {"metadata", "annotations", key}); }

bool Object::is_going() const { return value_->is_object() && value_->contains("metadata") && value_->at("metadata").contains("deletionTimestamp"); }

std::string Object::finalizers() const {
  std::string names;
  const auto at = nlohmann::json::json_pointer{"/metadata/finalizers"};
  if (!value_->is_object() || !value_->contains(at) || !value_->at(at).is_array()) return names;
  for (const auto& name : value_->at(at)) {
    if (name.is_string()) names += (names.empty() ? "" : ", ") + name.get<std::string>();
  }
  return names;
}

void Object::set_namespace(std::string_view value) {
  auto& object = edit();
  if (value.empty()) {
    if (object.contains("metadata")) object["metadata"].erase("namespace");
  } else {
    object["metadata"]["namespace"] = value;
  }
}
void Object::set_label(std::string_view key, std::string_view value) { metadata_map(edit(), "labels")[std::string{key}] = value; }
void Object::set_annotation(std::string_view key, std::string_view value) { metadata_map(edit(), "annotations")[std::string{key}] = value; }

text::Position Object::at() const { return source_ ? source_->at : text::Position{}; }

text::Position Object::at(std::string_view field) const {
  if (!source_) return {};
  const text::Node* node = source_.get();
  auto position = node->at;
  while (!field.empty()) {
    if (field.front() == '.') {
      field.remove_prefix(1);
    } else if (field.front() == '[') {
      const auto end = field.find(']');
      if (end == std::string_view::npos) break;
      auto index = field.substr(1, end - 1);
      field.remove_prefix(end + 1);
      if (index.size() > 1 && index.front() == '"') index = index.substr(1, index.size() - 2);
      std::size_t number{};
      const auto [stop, error] = std::from_chars(index.data(), index.data() + index.size(), number);
      const bool numeric = error == std::errc{} && stop == index.data() + index.size();
      const text::Node* next = nullptr;
      if (node->is_sequence() && numeric && number < node->items.size()) next = &node->items[number];
      if (node->is_sequence() && !numeric) {
        for (const auto& item : node->items) {
          if (const auto* name = item.find("name"); name && name->text == index) next = &item;
        }
      }
      if (node->is_mapping()) next = node->find(index);
      if (!next) break;
      node = next;
      position = node->at;
    } else {
      const auto end = std::min(field.find_first_of(".["), field.size());
      const auto* entry = node->entry(field.substr(0, end));
      if (!entry) break;
      field.remove_prefix(end);
      node = &entry->value;
      position = entry->at;
    }
  }
  return position;
}

std::vector<Object> flatten(Object object) {
  const auto& json = object.json();
  if (!json.is_object() || !json.contains("items") || !json["items"].is_array() || !object.kind().ends_with("List")) return {std::move(object)};
  std::vector<Object> items;
  const auto* nodes = object.source() ? object.source()->find("items") : nullptr;
  // A server's list of one kind leaves kind and apiVersion out of the items.
  const auto kind = object.kind().substr(0, object.kind().size() - 4);
  for (std::size_t i = 0; i < json["items"].size(); ++i) {
    auto item = json["items"][i];
    if (!kind.empty() && item.is_object()) {
      if (!item.contains("kind")) item["kind"] = kind;
      if (!item.contains("apiVersion")) item["apiVersion"] = object.api_version();
    }
    std::shared_ptr<const text::Node> source;
    if (nodes && i < nodes->items.size()) source = {object.source(), &nodes->items[i]};
    for (auto& one : flatten(Object{std::move(item), std::move(source)})) items.push_back(std::move(one));
  }
  return items;
}

bool is_workload(const Object& object) {
  const auto group = object.group(), kind = object.kind();
  return (group == "apps" && (kind == "Deployment" || kind == "StatefulSet" || kind == "DaemonSet")) || (group == "batch" && kind == "Job");
}

std::size_t main_container(const nlohmann::json& containers, const nlohmann::json& annotations) {
  if (!containers.is_array() || !annotations.is_object()) return 0;
  const auto wanted = annotations.value("kubectl.kubernetes.io/default-container", "");
  for (std::size_t index = 0; index < containers.size(); ++index) {
    if (!wanted.empty() && containers[index].value("name", "") == wanted) return index;
  }
  return 0;
}

std::string pod_spec_pointer(const Object& object) {
  std::string pointer;
  for (const auto& name : pod_spec_path(object.group(), object.kind())) pointer += '/' + name;
  return pointer;
}

}  // namespace codops::kube
