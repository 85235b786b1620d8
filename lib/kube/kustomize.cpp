#include "lib/kube/kustomize.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "lib/io/files.hpp"
#include "lib/kube/from_yaml.hpp"
#include "lib/kube/kustomize/generators.hpp"
#include "lib/kube/kustomize/patches.hpp"
#include "lib/kube/kustomize/references.hpp"
#include "lib/kube/kustomize/transform.hpp"
#include "lib/kube/lint.hpp"

namespace codops::kube {
namespace {

namespace fs = std::filesystem;
using kustomize::File;
using kustomize::Json;
using kustomize::Resource;
using kustomize::Resources;

class KustomizeBuild {
 public:
  explicit KustomizeBuild(fs::path shown_from) : shown_from_{std::move(shown_from)} {}

  Kustomized run(const fs::path& folder) {
    Resources all;
    accumulate(folder, all, false, {});
    for (auto& resource : all) {
      if (!resource.needs_hash) continue;
      resource.remember();
      resource.value["metadata"]["name"] = resource.name() + "-" + kustomize::content_hash(resource.value);
    }
    kustomize::fix_references(all);
    kustomize::replace_variables(variables_, all);
    std::erase_if(all, [](const Resource& resource) {
      const Json::json_pointer local{"/metadata/annotations/config.kubernetes.io~1local-config"};
      return resource.value.contains(local) && resource.value.at(local) != "false";
    });
    sort(all);
    Kustomized made;
    for (auto& resource : all) made.objects.emplace_back(std::move(resource.value), std::move(resource.source));
    made.warnings = std::move(warnings_);
    made.files.assign(files_.begin(), files_.end());
    return made;
  }

 private:
  void accumulate(const fs::path& folder, Resources& into, bool as_component, const text::Position& from) {
    const auto real = fs::weakly_canonical(folder);
    if (std::find(open_.begin(), open_.end(), real) != open_.end()) throw text::failure_at(from, fmt::format("\"{}\" includes itself", folder.string()));
    open_.push_back(real);
    const auto file = kustomize::read_kustomization(folder, shown_from_);
    if (open_.size() == 1) top_ = file.json;
    files_.insert(file.path);
    if (from.file && file.component != as_component)
      throw text::failure_at(from, file.component ? "a Component is listed under components, not under resources" : "under components stands a kustomization that is not of kind Component");
    if (file.json.contains("vars")) warnings_.push_back(fmt::format("{}: vars are deprecated by kustomize; replacements take their place", file.shown));

    // A component works on what its parent has; everything else on its own, which is then added.
    Resources own;
    auto& resources = as_component ? into : own;
    for (const auto* field : {"resources", "bases"}) add_resources(file, field, resources);
    kustomize::generate(file, resources);
    const auto components = kustomize::texts_of(file.json, "components");
    for (std::size_t i = 0; i < components.size(); ++i) {
      const auto at = kustomize::position_of(file, "components", i);
      accumulate(kustomize::path_inside(file, components[i], at), resources, true, at);
    }
    transform(file, resources);
    for (auto& variable : kustomize::variables_of(file)) variables_.push_back(std::move(variable));
    if (!as_component) {
      for (auto& resource : own) add(into, std::move(resource));
    }
    open_.pop_back();
  }

  static void transform(const File& file, Resources& resources) {
    const auto drop = [&] { std::erase_if(resources, [](const Resource& resource) { return resource.deleted || resource.value.empty(); }); };
    kustomize::apply_patches(file, resources);
    drop();
    kustomize::set_namespace(file, resources);
    kustomize::set_names(file, resources);
    kustomize::set_labels(file, resources);
    kustomize::set_annotations(file, resources);
    kustomize::apply_json_patches(file, resources);
    drop();
    kustomize::set_replicas(file, resources);
    kustomize::set_images(file, resources);
    kustomize::apply_replacements(file, resources);
  }

  void add_resources(const File& file, const char* field, Resources& into) {
    const auto names = kustomize::texts_of(file.json, field);
    for (std::size_t i = 0; i < names.size(); ++i) {
      const auto at = kustomize::position_of(file, field, i);
      const auto path = kustomize::path_inside(file, names[i], at);
      if (fs::is_directory(path)) {
        if (find_kustomization(path).empty()) throw text::failure_at(at, fmt::format("the folder \"{}\" has no kustomization.yaml", names[i]), "list its files one by one, or give it a kustomization.yaml");
        accumulate(path, into, false, at);
      } else {
        add_file(file, names[i], path, at, into);
      }
    }
  }

  void add_file(const File& file, const std::string& name, const fs::path& path, const text::Position& at, Resources& into) {
    files_.insert(path);
    text::Problems problems;
    for (auto& node : read_yaml(kustomize::read_inside(file, name, at), path.lexically_proximate(shown_from_).string())) {
      const auto source = std::make_shared<const text::Node>(std::move(node));
      for (auto& object : flatten(Object{to_json(*source, YamlRules::kustomize), source})) {
        const auto before = problems.size();
        check_shape(object, problems);
        if (problems.size() > before) continue;
        Resource resource;
        resource.value = object.json();
        resource.source = object.source();
        add(into, std::move(resource));
      }
    }
    problems.throw_if_any();
  }

  static void add(Resources& into, Resource resource) {
    const auto id = resource.id();
    for (const auto& other : into) {
      if (other.id().same(id)) throw text::failure_at(resource.at(), fmt::format("{} is there already, from {}", id.text(), other.at().text()), "two files or bases bring the same object");
    }
    into.push_back(std::move(resource));
  }

  void sort(Resources& all) const {
    // Without a word kustomize sorts too.
    const auto options = top_.contains("sortOptions") && top_["sortOptions"].is_object() ? top_["sortOptions"] : Json{{"order", "legacy"}};
    const auto order = kustomize::text_of(options, "order");
    if (order == "fifo") return;
    if (order != "legacy") throw Failure{Exit::config, "sortOptions.order of the kustomization is legacy or fifo"};
    std::vector<std::string> first{"Namespace", "ResourceQuota", "StorageClass", "CustomResourceDefinition", "ServiceAccount", "PodSecurityPolicy", "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding", "ConfigMap",
                                   "Secret", "Endpoints", "Service", "LimitRange", "PriorityClass", "PersistentVolume", "PersistentVolumeClaim", "Deployment", "StatefulSet", "CronJob", "PodDisruptionBudget"};
    std::vector<std::string> last{"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"};
    if (options.contains("legacySortOptions") && options["legacySortOptions"].is_object()) {
      first = kustomize::texts_of(options["legacySortOptions"], "orderFirst");
      last = kustomize::texts_of(options["legacySortOptions"], "orderLast");
    }
    const auto rank = [&](const std::string& kind) {
      if (const auto at = std::find(first.begin(), first.end(), kind); at != first.end()) return static_cast<int>(at - first.begin()) - static_cast<int>(first.size());
      if (const auto at = std::find(last.begin(), last.end(), kind); at != last.end()) return 1 + static_cast<int>(at - last.begin());
      return 0;
    };
    const auto key = [&](const Resource& resource) {
      const auto id = resource.id();
      const auto or_else = [](const std::string& text, const char* otherwise) { return text.empty() ? std::string{otherwise} : text; };
      return std::tuple{rank(id.kind), or_else(id.group, "~G") + "_" + or_else(id.version, "~V") + "_" + id.kind, or_else(id.namespace_, "~X") + "|" + id.name};
    };
    std::stable_sort(all.begin(), all.end(), [&](const Resource& a, const Resource& b) { return key(a) < key(b); });
  }

  fs::path shown_from_;
  std::vector<fs::path> open_;
  std::set<fs::path> files_;
  std::vector<kustomize::Variable> variables_;
  std::vector<std::string> warnings_;
  Json top_;
};

}  // namespace

fs::path find_kustomization(const fs::path& folder) {
  std::error_code ignored;
  for (const auto* name : {"kustomization.yaml", "kustomization.yml", "Kustomization"}) {
    if (fs::is_regular_file(folder / name, ignored)) return folder / name;
  }
  return {};
}

Kustomized render_kustomization(const fs::path& folder, const fs::path& shown_from) {
  try {
    return KustomizeBuild{shown_from}.run(folder);
  } catch (const Json::exception& error) {
    // A value of a type that nothing above expected: kustomize says no more either.
    throw Failure{Exit::config, fmt::format("{} holds a value of the wrong type: {}", find_kustomization(folder).lexically_proximate(shown_from).string(), error.what()), kustomize::way_out(folder)};
  }
}

}  // namespace codops::kube
