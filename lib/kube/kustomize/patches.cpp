#include "lib/kube/kustomize/patches.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "lib/kube/from_yaml.hpp"
#include "lib/kube/kustomize/merge.hpp"
#include "lib/kube/kustomize/selector.hpp"

namespace codops::kube::kustomize {
namespace {

struct PatchOptions {
  bool name_change{}, kind_change{};
};

void merge_into(Resource& resource, const Json& patch, const PatchOptions& options, const text::Position& at) {
  const auto before = resource.id();
  if (options.name_change || options.kind_change) resource.remember();
  bool kept = false;
  try {
    kept = strategic_merge(resource.value, patch);
  } catch (Failure& failure) {
    throw failure.add_context(at.text());
  }
  if (!kept) {
    resource.deleted = true;
    return;
  }
  if (!resource.value.contains("metadata") || !resource.value["metadata"].is_object()) throw text::failure_at(at, fmt::format("the patch takes the metadata of {} away", before.text()));
  // A patch is told by kind and name; it does not change them unless it may.
  if (!options.kind_change) resource.value["kind"] = before.kind;
  if (!options.name_change) resource.value["metadata"]["name"] = before.name;
  if (before.namespace_.empty()) {
    resource.value["metadata"].erase("namespace");
  } else {
    resource.value["metadata"]["namespace"] = before.namespace_;
  }
}

void change(Resource& resource, const Json& operations, const text::Position& at) {
  resource.remember();
  try {
    resource.value = resource.value.patch(operations);
  } catch (const Json::exception& error) {
    const std::string what = error.what();
    const auto reason = what.find("] ");
    throw text::failure_at(at, fmt::format("the JSON patch does not fit {}: {}", resource.id().text(), reason == std::string::npos ? what : what.substr(reason + 2)));
  }
}

class PatchEntry {
 public:
  PatchEntry(const File& file, const Json& entry, text::Position at) : file_{file}, entry_{entry}, at_{std::move(at)} {}

  void apply(Resources& resources) const {
    const auto path = text_of(entry_, "path"), inline_text = text_of(entry_, "patch");
    if (path.empty() == inline_text.empty()) throw text::failure_at(at_, path.empty() ? "a patch needs path or patch" : "a patch has path or patch, not both");
    const auto shown = path.empty() ? fmt::format("{} (patch)", at_.text()) : path;
    const auto documents = read_yaml(path.empty() ? inline_text : read_inside(file_, path, at_), shown);
    if (documents.empty()) throw text::failure_at(at_, "the patch is empty");
    for (const auto& document : documents) one(resources, to_json(document, YamlRules::kustomize));
  }

 private:
  void one(Resources& resources, const Json& patch) const {
    const bool json_patch = patch.is_array() && !patch.empty() && patch.front().is_object() && patch.front().contains("op");
    const bool has_target = entry_.contains("target") && entry_["target"].is_object();
    if (json_patch && !has_target) throw text::failure_at(at_, "a JSON patch needs a target", "target: {kind: Deployment, name: web}");
    if (!json_patch && !patch.is_object()) throw text::failure_at(at_, "neither an object to merge nor a list of operations (op, path, value)");
    if (!has_target) {
      by_name(resources, patch);
      return;
    }
    const Selector selector{entry_["target"], at_};
    for (auto& resource : resources) {
      if (resource.deleted || !selector.fits(resource)) continue;
      if (json_patch) {
        change(resource, patch, at_);
      } else {
        merge_into(resource, patch, options(), at_);
      }
    }
  }

  void by_name(Resources& resources, const Json& patch) const {
    Resource wanted;
    wanted.value = patch;
    const auto id = wanted.id();
    if (id.kind.empty() || id.name.empty()) throw text::failure_at(at_, "a patch without a target needs apiVersion, kind and metadata.name of what it changes");
    std::vector<Resource*> found;
    for (auto& resource : resources) {
      if (!resource.deleted && resource.was(id)) found.push_back(&resource);
    }
    if (found.size() == 1) {
      merge_into(*found.front(), patch, options(), at_);
      return;
    }
    if (found.size() > 1) throw text::failure_at(at_, fmt::format("{} could be any of {} objects", id.text(), found.size()), "add a target");
    std::vector<std::string> names;
    for (const auto& resource : resources) names.push_back(resource.id().text());
    const auto near = nearest(id.text(), names);
    throw text::failure_at(at_, fmt::format("the patch fits no object: there is no {} ({})", id.text(), text_of(patch, "apiVersion")), near.empty() ? "" : fmt::format("did you mean \"{}\"?", near));
  }

  PatchOptions options() const {
    PatchOptions options;
    if (entry_.contains("options") && entry_["options"].is_object()) {
      options.name_change = flag_of(entry_["options"], "allowNameChange", at_);
      options.kind_change = flag_of(entry_["options"], "allowKindChange", at_);
    }
    return options;
  }

  const File& file_;
  const Json& entry_;
  text::Position at_;
};

void apply_list(const File& file, const char* field, Resources& resources) {
  if (!file.json.contains(field) || !file.json[field].is_array()) return;
  const auto& list = file.json[field];
  for (std::size_t i = 0; i < list.size(); ++i) PatchEntry{file, list[i], position_of(file, field, i)}.apply(resources);
}

}  // namespace

void apply_patches(const File& file, Resources& resources) {
  // A path or the patch itself, in one word.
  const auto merges = texts_of(file.json, "patchesStrategicMerge");
  for (std::size_t i = 0; i < merges.size(); ++i) {
    const bool inline_text = merges[i].find('\n') != std::string::npos || merges[i].starts_with('{');
    const Json entry{{inline_text ? "patch" : "path", merges[i]}};
    PatchEntry{file, entry, position_of(file, "patchesStrategicMerge", i)}.apply(resources);
  }
  apply_list(file, "patches", resources);
}

void apply_json_patches(const File& file, Resources& resources) { apply_list(file, "patchesJson6902", resources); }

}  // namespace codops::kube::kustomize
