#include "lib/kube/drift.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "lib/io/crypto.hpp"
#include "lib/kube/fields.hpp"
#include "lib/kube/ownership.hpp"

namespace codops::kube {
namespace {

using Json = nlohmann::json;

constexpr const char* containers_fields[] = {"initContainers", "containers"};

// Null: there is none.
const Json& member(const Json& value, const char* name) {
  static const Json none;
  return value.is_object() && value.contains(name) ? value.at(name) : none;
}

const Json& pod_spec(const Object& object) {
  static const Json none;
  const auto pointer = pod_spec_pointer(object);
  if (pointer.empty()) return none;
  const Json::json_pointer at{pointer};
  return object.json().contains(at) ? object.json().at(at) : none;
}

const Json* named(const Json& list, const std::string& name) {
  if (!list.is_array()) return nullptr;
  const auto found = std::find_if(list.begin(), list.end(), [&](const Json& one) { return one.is_object() && one.value("name", "") == name; });
  return found == list.end() ? nullptr : &*found;
}

// FUNCTION(where, wanted, live) for each container of the release; null where the live object has it no more.
template <typename Function>
void for_each_container(const Object& wanted, const Object& live, Function function) {
  for (const char* field : containers_fields) {
    const auto& ours = member(pod_spec(wanted), field);
    if (!ours.is_array()) continue;
    for (const auto& container : ours) {
      const auto name = container.value("name", "");
      function("container " + name, container, named(member(pod_spec(live), field), name));
    }
  }
}

std::string text_of(const Json& value) { return value.is_string() ? value.get<std::string>() : std::string{}; }

// As the server keeps it: an empty value is none.
bool same_variable(const Json& wanted, const Json& live) {
  const auto &from = member(wanted, "valueFrom"), &now_from = member(live, "valueFrom");
  if (!from.is_null()) return is_within(from, now_from);
  return now_from.is_null() && text_of(member(wanted, "value")) == text_of(member(live, "value"));
}

bool same_words(const Json& wanted, const Json& live) { return wanted.empty() ? live.empty() : wanted == live; }

std::map<std::string, std::string> data_of(const Object& object) {
  std::map<std::string, std::string> data;
  const bool secret = object.kind() == "Secret";
  const auto take = [&](const char* field, bool encode) {
    const auto& values = member(object.json(), field);
    if (!values.is_object()) return;
    for (const auto& [key, value] : values.items()) {
      if (!value.is_string()) continue;
      auto text = encode ? io::to_base64(value.get_ref<const std::string&>()) : value.get<std::string>();
      // Base64 may have line ends, which the server does not keep.
      if (secret || std::string_view{field} == "binaryData") std::erase_if(text, [](char c) { return c == '\n' || c == '\r'; });
      data[key] = std::move(text);
    }
  };
  take("data", false);
  take("binaryData", false);
  if (secret) take("stringData", true);
  return data;
}

}  // namespace

std::vector<std::string> pod_drift(const Object& wanted, const Object& live) {
  std::vector<std::string> lines;
  for_each_container(wanted, live, [&](const std::string& where, const Json& ours, const Json* theirs) {
    if (theirs == nullptr) {
      lines.push_back(where + " was removed");
      return;
    }
    const auto image = theirs->value("image", "");
    if (image != ours.value("image", "")) lines.push_back(fmt::format("{}: runs {}, not {}", where, image, ours.value("image", "")));
    for (const char* field : {"command", "args"}) {
      if (!same_words(member(ours, field), member(*theirs, field))) lines.push_back(fmt::format("{}: its {} was changed", where, field));
    }
    const auto& variables = member(ours, "env");
    if (!variables.is_array()) return;
    // Of two with one name the last one counts, here as for the kubelet.
    std::map<std::string, const Json*> last;
    for (const auto& variable : variables) last[variable.value("name", "")] = &variable;
    std::map<std::string, const Json*> found;
    if (const auto& present = member(*theirs, "env"); present.is_array()) {
      for (const auto& variable : present) found[variable.value("name", "")] = &variable;
    }
    for (const auto& [name, variable] : last) {
      const auto now = found.find(name);
      if (now == found.end()) lines.push_back(fmt::format("{}: the variable {} was removed", where, name));
      else if (!same_variable(*variable, *now->second)) lines.push_back(fmt::format("{}: the variable {} was changed", where, name));
    }
  });
  return lines;
}

std::vector<std::string> added_variables(const Object& wanted, const Object& live) {
  std::vector<std::string> lines, strangers;
  for (const auto& owner : owners_of(live)) {
    if (owner.manager.starts_with("codops") || !owner.subresource.empty()) continue;
    strangers.insert(strangers.end(), owner.fields.begin(), owner.fields.end());
  }
  for_each_container(wanted, live, [&](const std::string& where, const Json& ours, const Json* theirs) {
    if (theirs == nullptr || !member(*theirs, "env").is_array()) return;
    for (const auto& variable : member(*theirs, "env")) {
      const auto name = variable.value("name", "");
      if (named(member(ours, "env"), name) != nullptr) continue;
      const auto step = fmt::format(".env[name={}]", Json(name).dump());
      // A webhook's additions are written under the name of whose request it changed.
      if (std::any_of(strangers.begin(), strangers.end(), [&](const auto& field) { return field.find(step) != std::string::npos; }))
        lines.push_back(fmt::format("{}: the variable {} was added", where, name));
    }
  });
  return lines;
}

std::vector<std::string> data_drift(const Object& wanted, const Object& live) {
  std::vector<std::string> lines;
  const auto present = data_of(live);
  for (const auto& [key, value] : data_of(wanted)) {
    const auto found = present.find(key);
    if (found == present.end()) lines.push_back(fmt::format("the key {} was removed", key));
    else if (found->second != value) lines.push_back(fmt::format("the key {} was changed", key));
  }
  return lines;
}

std::string last_stranger(const Object& live) {
  std::string name, newest;
  for (const auto& owner : owners_of(live)) {
    if (owner.manager.starts_with("codops") || !owner.subresource.empty() || owner.manager == "kube-controller-manager" || owner.time < newest) continue;
    newest = owner.time;
    name = owner.manager;
  }
  return name;
}

}  // namespace codops::kube
