#include "lib/kube/kustomize/file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "lib/io/files.hpp"
#include "lib/kube/from_yaml.hpp"
#include "lib/kube/kustomize.hpp"

namespace codops::kube::kustomize {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string_view>;

// What may stand in the file, and in the entries of its lists and maps.
const Names& known_fields() {
  static const Names names{"apiVersion",  "kind",     "metadata",           "resources",       "bases",          "components",       "patches",      "patchesStrategicMerge", "patchesJson6902", "images",
                           "namePrefix",  "nameSuffix", "namespace",        "commonLabels",    "labels",         "commonAnnotations", "configMapGenerator", "secretGenerator", "generatorOptions", "replicas",
                           "vars",        "replacements", "sortOptions"};
  return names;
}
// Fields of kustomize that are left to it.
const Names& foreign_fields() {
  static const Names names{"helmCharts", "helmGlobals", "helmChartInflationGenerator", "generators", "transformers", "validators", "configurations", "crds", "openapi", "buildMetadata", "inventory", "imageTags"};
  return names;
}
const std::map<std::string_view, Names>& entry_fields() {
  static const Names generator{"name", "namespace", "behavior", "files", "literals", "envs", "env", "options"};
  static const std::map<std::string_view, Names> names{
      {"patches", {"path", "patch", "target", "options"}},
      {"patchesJson6902", {"path", "patch", "target", "options"}},
      {"images", {"name", "newName", "newTag", "tagSuffix", "digest"}},
      {"labels", {"pairs", "includeSelectors", "includeTemplates", "fields"}},
      {"configMapGenerator", generator},
      {"secretGenerator", {"name", "namespace", "behavior", "files", "literals", "envs", "env", "options", "type"}},
      {"generatorOptions", {"labels", "annotations", "disableNameSuffixHash", "immutable"}},
      {"replicas", {"name", "count"}},
      {"vars", {"name", "objref", "fieldref"}},
      {"replacements", {"path", "source", "targets"}},
      {"sortOptions", {"order", "legacySortOptions"}},
  };
  return names;
}

void check_names(const text::Node& map, std::string_view where, const Names& known, text::Problems& problems) {
  for (const auto& entry : map.entries) {
    if (std::find(known.begin(), known.end(), entry.key) == known.end()) problems.unknown_key(entry.at, entry.key, where, known);
  }
}

void check_fields(const text::Node& node, const fs::path& folder, text::Problems& problems) {
  if (!node.is_mapping()) {
    problems.add(node.at, fmt::format("a kustomization is a mapping, not {}", node.kind_name()));
    return;
  }
  for (const auto& entry : node.entries) {
    const auto& foreign = foreign_fields();
    if (std::find(foreign.begin(), foreign.end(), entry.key) != foreign.end()) {
      problems.add(entry.at, fmt::format("\"{}\" of a kustomization is not supported here", entry.key), way_out(folder));
      continue;
    }
    const auto& known = known_fields();
    if (std::find(known.begin(), known.end(), entry.key) == known.end()) {
      const auto near = nearest(entry.key, known);
      problems.add(entry.at, fmt::format("unknown field \"{}\" in a kustomization", entry.key), near.empty() ? way_out(folder) : fmt::format("did you mean \"{}\"?", near));
      continue;
    }
    const auto inner = entry_fields().find(entry.key);
    if (inner == entry_fields().end() || entry.value.is_null()) continue;
    if (entry.value.is_mapping()) check_names(entry.value, entry.key, inner->second, problems);
    for (const auto& item : entry.value.items) {
      if (item.is_mapping()) {
        check_names(item, entry.key, inner->second, problems);
      } else {
        problems.add(item.at, fmt::format("an entry of \"{}\" is a mapping, not {}", entry.key, item.kind_name()));
      }
    }
  }
}

void check_lists(const text::Node& node, text::Problems& problems) {
  for (const auto* name : {"resources", "bases", "components", "patches", "patchesStrategicMerge", "patchesJson6902", "images", "labels", "configMapGenerator", "secretGenerator", "replicas", "vars", "replacements"}) {
    const auto* value = node.find(name);
    if (value && !value->is_null() && !value->is_sequence()) problems.add(value->at, fmt::format("\"{}\" has to be a list, not {}", name, value->kind_name()));
  }
  for (const auto* name : {"resources", "bases", "components", "patchesStrategicMerge"}) {
    const auto* value = node.find(name);
    if (!value || !value->is_sequence()) continue;
    for (const auto& item : value->items) {
      if (!item.is_string()) problems.add(item.at, fmt::format("an entry of \"{}\" has to be text, not {}", name, item.kind_name()));
    }
  }
}

bool is_below(const fs::path& path, const fs::path& folder) {
  const auto relative = path.lexically_relative(folder);
  return !relative.empty() && *relative.begin() != "..";
}

}  // namespace

std::string way_out(const fs::path& folder) {
  return fmt::format("let kustomize render it: kubectl kustomize {} > k8s-rendered/all.yaml, and set kubernetes.manifests to k8s-rendered in codops.yaml", folder.filename().empty() ? folder.parent_path().filename().string() : folder.filename().string());
}

File read_kustomization(const fs::path& folder, const fs::path& shown_from) {
  File file;
  file.folder = fs::weakly_canonical(folder);
  file.path = find_kustomization(folder);
  if (file.path.empty()) throw Failure{Exit::config, fmt::format("there is no kustomization.yaml in \"{}\"", folder.string())};
  int found = 0;
  std::error_code ignored;
  for (const auto* name : {"kustomization.yaml", "kustomization.yml", "Kustomization"}) found += fs::is_regular_file(folder / name, ignored) ? 1 : 0;
  if (found > 1) throw Failure{Exit::config, fmt::format("\"{}\" has more than one kustomization file", folder.string()), "keep kustomization.yaml only"};
  file.shown = file.path.lexically_proximate(shown_from).string();
  auto documents = read_yaml(io::read_file(file.path), file.shown);
  if (documents.empty()) throw Failure{Exit::config, fmt::format("{} is empty", file.shown), "list the manifests under resources:"};
  if (documents.size() > 1) throw text::failure_at(documents[1].at, "a second document begins here; a kustomization is one");
  file.node = std::make_shared<const text::Node>(std::move(documents.front()));
  text::Problems problems;
  check_fields(*file.node, folder, problems);
  if (file.node->is_mapping()) check_lists(*file.node, problems);
  problems.throw_if_any();
  file.json = to_json(*file.node);
  const auto kind = text_of(file.json, "kind");
  if (!kind.empty() && kind != "Kustomization" && kind != "Component") throw text::failure_at(file.node->find("kind")->at, fmt::format("kind {} is not Kustomization or Component", kind));
  file.component = kind == "Component";
  return file;
}

bool is_remote(const std::string& name) {
  return name.find("://") != std::string::npos || name.starts_with("github.com/") || name.starts_with("git@") || name.find("?ref=") != std::string::npos || name.starts_with("git::");
}

fs::path path_inside(const File& file, const std::string& name, const text::Position& at) {
  if (is_remote(name)) throw text::failure_at(at, fmt::format("\"{}\" is fetched from elsewhere: that is not done here", name), way_out(file.folder));
  const auto path = fs::weakly_canonical(file.folder / name);
  std::error_code ignored;
  if (!fs::exists(path, ignored)) throw text::failure_at(at, fmt::format("\"{}\" is not there", name), fmt::format("paths are relative to {}", file.shown));
  return path;
}

std::string read_inside(const File& file, const std::string& name, const text::Position& at) {
  const auto path = path_inside(file, name, at);
  if (!is_below(path, file.folder)) throw text::failure_at(at, fmt::format("the file \"{}\" is outside of the kustomization's folder", name), "move it inside, or make its folder a kustomization of its own and list that under resources");
  return io::read_file(path);
}

text::Position position_of(const File& file, const char* field, std::size_t index) {
  const auto* list = file.node->find(field);
  if (!list) return file.node->at;
  return index < list->items.size() ? list->items[index].at : list->at;
}

std::string text_of(const Json& map, const char* name) {
  if (!map.is_object()) return {};
  const auto found = map.find(name);
  if (found == map.end() || found->is_null()) return {};
  return found->is_string() ? found->get<std::string>() : found->is_structured() ? std::string{} : found->dump();
}

std::vector<std::string> texts_of(const Json& map, const char* name) {
  std::vector<std::string> texts;
  if (!map.is_object()) return texts;
  const auto found = map.find(name);
  if (found == map.end() || !found->is_array()) return texts;
  for (const auto& item : *found) texts.push_back(item.is_string() ? item.get<std::string>() : item.dump());
  return texts;
}

bool flag_of(const Json& map, const char* name, const text::Position& at) {
  if (!map.is_object() || !map.contains(name) || map[name].is_null()) return false;
  if (!map[name].is_boolean()) throw text::failure_at(at, fmt::format("{} has to be true or false", name));
  return map[name].get<bool>();
}

}  // namespace codops::kube::kustomize
