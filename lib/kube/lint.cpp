#include "lib/kube/lint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>

#include "lib/kube/schema.hpp"

namespace codops::kube {
namespace {

using Json = nlohmann::json;

std::string shown(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

// `metadata:` with nothing in it, and `name:` beside it: the classic slip. Only for kinds of groups that are Kubernetes' own, whose
// top level is known.
bool misplaced(const Object& object, text::Problems& problems) {
  const auto* node = object.source().get();
  if (!node || !is_built_in(object.group())) return false;
  constexpr std::array<std::string_view, 6> meta{"name", "namespace", "labels", "annotations", "generateName", "finalizers"};
  constexpr std::array<std::string_view, 9> spec{"replicas", "selector", "template", "containers", "ports", "strategy", "serviceName", "schedule", "jobTemplate"};
  for (const auto& entry : node->entries) {
    const auto inside = [&](std::string_view parent, const auto& names) {
      const auto* value = node->find(parent);
      if (!value || !value->is_null() || std::find(names.begin(), names.end(), entry.key) == names.end()) return false;
      problems.add(entry.at, fmt::format("\"{}\" stands beside \"{}\", which is empty", entry.key, parent), fmt::format("indent it, so that it is inside \"{}\"", parent));
      return true;
    };
    if (inside("metadata", meta) || inside("spec", spec)) return true;
  }
  return false;
}

void walk(const Object& object, const Json& value, Path& path, const std::string& shown_path, text::Problems& problems) {
  if (value.is_object()) {
    for (const auto& [name, child] : value.items()) {
      path.push_back(name);
      walk(object, child, path, shown_path.empty() ? name : shown_path + "." + name, problems);
      path.pop_back();
    }
    return;
  }
  if (!value.is_array()) return;
  const auto keys = list_keys(object.group(), object.kind(), path);
  std::map<std::string, std::size_t> seen;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const auto& item = value[i];
    const auto item_path = fmt::format("{}[{}]", shown_path, i);
    if (item.is_object() && !keys.keys.empty() && item.contains(keys.keys.front())) {
      std::string identity, words;
      for (const auto key : keys.keys) {
        const auto found = item.find(key);
        const auto text = found != item.end() ? shown(*found) : std::string{key == "protocol" ? "TCP" : ""};
        identity += text + '\n';
        words += fmt::format("{}{} {}", words.empty() ? "" : ", ", key, text);
      }
      if (const auto [first, fresh] = seen.emplace(identity, i); !fresh) {
        problems.add(object.at(item_path),
                     fmt::format("{} is there twice in {} (the first is in line {})", words, path.back(), object.at(fmt::format("{}[{}]", shown_path, first->second)).line),
                     "remove one of them: plain kubectl apply took the last, server-side apply refuses both");
      }
    }
    walk(object, item, path, item_path, problems);
  }
}

}  // namespace

void check_shape(const Object& object, text::Problems& problems) {
  const auto& json = object.json();
  const auto at = object.at();
  if (!json.is_object()) {
    problems.add(at, fmt::format("a manifest is a mapping, not {}", object.source() ? object.source()->kind_name() : "that"));
    return;
  }
  const auto text_of = [&](const char* key) {
    if (!json.contains(key) || json[key].is_null()) return false;
    if (json[key].is_string() && !json[key].get<std::string>().empty()) return true;
    problems.add(object.at(key), fmt::format("{} has to be text", key));
    return true;
  };
  const bool has_kind = text_of("kind"), has_version = text_of("apiVersion");
  if (!has_kind && !has_version) {
    problems.add(at, "neither apiVersion nor kind: this is not a manifest", "move other YAML files out of the folder, or list the manifests in a kustomization.yaml");
    return;
  }
  if (!has_kind) problems.add(at, "kind is missing");
  if (!has_version) problems.add(at, fmt::format("apiVersion of {} is missing", object.kind()));
  if (misplaced(object, problems)) return;
  if (!json.contains("metadata") || !json["metadata"].is_object()) {
    problems.add(at, fmt::format("{} has no metadata", object.kind()), "every object needs metadata: {name: …}");
    return;
  }
  const auto& meta = json["metadata"];
  if (meta.contains("generateName") && !meta.contains("name"))
    problems.add(object.at("metadata.generateName"), "generateName can't be applied: each deploy would make one more", "give it a name");
  else if (!meta.contains("name") || meta["name"].is_null())
    problems.add(object.at("metadata"), fmt::format("{} has no name", object.kind()), "metadata: {name: …}");
  else if (!meta["name"].is_string() || meta["name"].get<std::string>().empty())
    problems.add(object.at("metadata.name"), "the name has to be text", "write it in quotes");
  for (const auto* map : {"labels", "annotations"}) {
    if (!meta.contains(map) || !meta[map].is_object()) continue;
    for (const auto& [key, value] : meta[map].items()) {
      if (value.is_string() || value.is_null()) continue;
      problems.add(object.at(fmt::format("metadata.{}[\"{}\"]", map, key)), fmt::format("the value of \"{}\" in {} has to be text, and {} is not", key, map, shown(value)), "write it in quotes");
    }
  }
}

void check_duplicates(const Object& object, text::Problems& problems) {
  Path path;
  walk(object, object.json(), path, {}, problems);
}

void check_unique(const std::vector<Object>& objects, text::Problems& problems) {
  std::map<Ref, const Object*> seen;
  for (const auto& object : objects) {
    const auto [first, fresh] = seen.emplace(object.ref(), &object);
    if (!fresh)
      problems.add(object.at(), fmt::format("{} is there already, in {}", object.ref().text(), first->second->at().text()), "remove one of them");
  }
}

}  // namespace codops::kube
