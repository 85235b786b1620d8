#include "lib/kube/kustomize/transform.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <regex>

#include "lib/kube/images.hpp"
#include "lib/kube/kustomize/field_specs.hpp"

namespace codops::kube::kustomize {
namespace {

void put_pairs(Resource& resource, const std::vector<FieldSpec>& fields, const Json& pairs, const text::Position& at) {
  for (const auto& field : fields) {
    if (!field.gvk().fits(resource.id())) continue;
    each_at(resource.value, split_path(field.path), field.create, [&](Json& map) {
      if (map.is_null()) map = Json::object();
      if (!map.is_object()) return;
      for (const auto& [name, value] : pairs.items()) {
        if (!value.is_string()) throw text::failure_at(at, fmt::format("the value of \"{}\" has to be text", name), "write it in quotes");
        map[name] = value;
      }
    });
  }
}

std::vector<FieldSpec> own_fields(const Json& entry, const text::Position& at) {
  std::vector<FieldSpec> fields;
  if (!entry.contains("fields") || !entry["fields"].is_array()) return fields;
  for (const auto& field : entry["fields"]) fields.push_back({text_of(field, "group"), text_of(field, "version"), text_of(field, "kind"), text_of(field, "path"), flag_of(field, "create", at)});
  return fields;
}

text::Position field_position(const File& file, const char* name) {
  const auto* entry = file.node->entry(name);
  return entry ? entry->at : file.node->at;
}

// Every list called containers or initContainers, wherever it is: custom resources have them too.
template <typename Use>
void each_image(Json& value, const Use& use) {
  if (value.is_array()) {
    for (auto& item : value) each_image(item, use);
    return;
  }
  if (!value.is_object()) return;
  for (auto& [name, child] : value.items()) {
    if ((name == "containers" || name == "initContainers") && child.is_array()) {
      for (auto& container : child) {
        if (container.is_object() && container.contains("image") && container["image"].is_string()) use(container["image"]);
      }
    }
    if (name == "volumes" && child.is_array()) {
      for (auto& volume : child) {
        const Json::json_pointer reference{"/image/reference"};
        if (volume.is_object() && volume.contains(reference) && volume[reference].is_string()) use(volume[reference]);
      }
    }
    each_image(child, use);
  }
}

struct ImageChange {
  std::regex name;
  std::string new_name, new_tag, tag_suffix, digest;

  void apply(Json& value) const {
    const auto text = value.get<std::string>();
    if (!std::regex_match(text, name)) return;
    auto image = parse_image(text);
    if (!new_name.empty()) image.repository = new_name;
    if (!new_tag.empty() && !digest.empty()) {
      image.tag = new_tag;
      image.digest = digest;
    } else if (!new_tag.empty()) {
      image.tag = new_tag;
      image.digest.clear();
    } else if (!digest.empty()) {
      image.tag.clear();
      image.digest = digest;
    }
    if (!tag_suffix.empty()) {
      image.tag += tag_suffix;
      image.digest.clear();
    }
    value = image.repository + (image.tag.empty() ? "" : ":" + image.tag) + (image.digest.empty() ? "" : "@" + image.digest);
  }
};

}  // namespace

void set_namespace(const File& file, Resources& resources) {
  const auto space = text_of(file.json, "namespace");
  if (space.empty()) return;
  for (auto& resource : resources) {
    const auto id = resource.id();
    resource.remember();
    if (id.kind == "Namespace" && id.group.empty()) resource.value["metadata"]["name"] = space;
    if (!is_cluster_scoped(id)) resource.value["metadata"]["namespace"] = space;
    if (id.kind == "RoleBinding" || id.kind == "ClusterRoleBinding") {
      each_at(resource.value, {"subjects"}, false, [&](Json& subject) {
        if (subject.is_object() && text_of(subject, "name") == "default") subject["namespace"] = space;
      });
    }
    const auto put = [&](const char* path) { each_at(resource.value, split_path(path), false, [&](Json& value) { value = space; }); };
    if (id.kind == "APIService") put("spec/service/namespace");
    if (id.kind == "CustomResourceDefinition") put("spec/conversion/webhook/clientConfig/service/namespace");
  }
}

void set_names(const File& file, Resources& resources) {
  const auto prefix = text_of(file.json, "namePrefix"), suffix = text_of(file.json, "nameSuffix");
  for (auto& resource : resources) {
    const auto id = resource.original();
    if (id.kind == "CustomResourceDefinition" || id.kind == "APIService" || (id.kind == "Namespace" && id.group.empty())) continue;
    if (!prefix.empty()) {
      resource.prefixes.push_back(prefix);
      resource.remember();
      resource.value["metadata"]["name"] = prefix + resource.name();
    }
    if (!suffix.empty()) {
      resource.suffixes.push_back(suffix);
      resource.remember();
      resource.value["metadata"]["name"] = resource.name() + suffix;
    }
  }
}

void set_labels(const File& file, Resources& resources) {
  if (file.json.contains("labels") && file.json["labels"].is_array()) {
    const auto& list = file.json["labels"];
    for (std::size_t i = 0; i < list.size(); ++i) {
      const auto& entry = list[i];
      if (!entry.contains("pairs") || !entry["pairs"].is_object()) continue;
      const auto at = position_of(file, "labels", i);
      auto fields = own_fields(entry, at);
      if (flag_of(entry, "includeSelectors", at)) {
        fields.insert(fields.end(), selector_fields().begin(), selector_fields().end());
      } else if (flag_of(entry, "includeTemplates", at)) {
        fields.insert(fields.end(), metadata_label_fields().begin(), metadata_label_fields().end());
      } else {
        fields.push_back({"", "", "", "metadata/labels", true});
      }
      for (auto& resource : resources) put_pairs(resource, fields, entry["pairs"], at);
    }
  }
  if (!file.json.contains("commonLabels") || !file.json["commonLabels"].is_object()) return;
  for (auto& resource : resources) put_pairs(resource, selector_fields(), file.json["commonLabels"], field_position(file, "commonLabels"));
}

void set_annotations(const File& file, Resources& resources) {
  if (!file.json.contains("commonAnnotations") || !file.json["commonAnnotations"].is_object()) return;
  for (auto& resource : resources) put_pairs(resource, annotation_fields(), file.json["commonAnnotations"], field_position(file, "commonAnnotations"));
}

void set_replicas(const File& file, Resources& resources) {
  if (!file.json.contains("replicas") || !file.json["replicas"].is_array()) return;
  const auto& list = file.json["replicas"];
  for (std::size_t i = 0; i < list.size(); ++i) {
    const auto name = text_of(list[i], "name");
    const auto at = position_of(file, "replicas", i);
    if (!list[i].contains("count") || !list[i]["count"].is_number_integer()) throw text::failure_at(at, "replicas needs a name and a count");
    int hits = 0;
    for (auto& resource : resources) {
      const bool named = resource.name() == name || std::any_of(resource.previous.begin(), resource.previous.end(), [&](const Id& id) { return id.name == name; });
      if (!named) continue;
      for (const auto& field : replica_fields()) {
        if (!field.gvk().fits(resource.id())) continue;
        each_at(resource.value, split_path(field.path), field.create, [&](Json& value) { value = list[i]["count"]; });
        ++hits;
      }
    }
    if (hits == 0) throw text::failure_at(at, fmt::format("replicas: there is no Deployment, ReplicaSet or StatefulSet called \"{}\"", name));
  }
}

void set_images(const File& file, Resources& resources) {
  if (!file.json.contains("images") || !file.json["images"].is_array()) return;
  const auto& list = file.json["images"];
  for (std::size_t i = 0; i < list.size(); ++i) {
    const auto name = text_of(list[i], "name");
    if (name.empty()) throw text::failure_at(position_of(file, "images", i), "an image needs the name that it replaces");
    ImageChange change{{}, text_of(list[i], "newName"), text_of(list[i], "newTag"), text_of(list[i], "tagSuffix"), text_of(list[i], "digest")};
    try {
      change.name = std::regex{name + "(:[a-zA-Z0-9_.{}-]*)?(@sha256:[a-zA-Z0-9_.{}-]*)?"};
    } catch (const std::regex_error&) {
      throw text::failure_at(position_of(file, "images", i), fmt::format("\"{}\" can't be the name of an image", name));
    }
    for (auto& resource : resources) {
      if (resource.id().kind == "CustomResourceDefinition") continue;
      each_image(resource.value, [&](Json& image) { change.apply(image); });
      // kustomize goes by names of lists, and then by these paths: a tagSuffix is there twice.
      for (const auto* path : {"spec/containers[]/image", "spec/initContainers[]/image", "spec/template/spec/containers[]/image", "spec/template/spec/initContainers[]/image"}) {
        each_at(resource.value, split_path(path), false, [&](Json& image) {
          if (image.is_string()) change.apply(image);
        });
      }
    }
  }
}

}  // namespace codops::kube::kustomize
