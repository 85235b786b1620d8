#include "lib/ops/kubernetes/desired.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "lib/io/crypto.hpp"
#include "lib/kube/applyset.hpp"
#include "lib/kube/replicas.hpp"
#include "lib/kube/rollout.hpp"
#include "lib/kube/secret_data.hpp"
#include "lib/kube/window.hpp"
#include "lib/ops/kubernetes/questions.hpp"
#include "lib/release/release_store.hpp"

namespace codops::ops::kubernetes {
namespace {

using Json = nlohmann::json;

constexpr std::string_view before_prefix = "before:";

kube::VersionRules rules_for(const settings::Environment& environment, const std::string& version) {
  kube::VersionRules rules;
  if (!environment.version_variable.empty()) rules.variable = environment.version_variable;
  rules.version = version;
  rules.images = environment.images;
  return rules;
}

bool is_migration(const kube::Object& object) { return object.kind() == "Job" && object.group() == "batch" && object.annotation(phase_annotation) == "migrate"; }

// Images that change with the version get the digest that their tag means now. Others keep what the manifest says: that somebody moved the
// database's tag must not replace the database.
void pin_digests(Cluster& cluster, std::vector<kube::Object>& objects, Desired& desired, const Limits& limits) {
  std::vector<std::string> images;
  for (const auto& image : kube::images_of(objects)) {
    const auto parts = kube::parse_image(image.image);
    if (parts.digest.empty() && parts.tag.find(desired.version) != std::string::npos && image.pull_policy != "Never") images.push_back(image.image);
  }
  const auto& known = cluster.digests().of(images, limits);
  const auto pinned = kube::pin_images(objects, [&](const std::string& image) -> std::optional<std::string> {
    const auto found = known.find(image);
    return found == known.end() || found->second.digest.empty() ? std::nullopt : std::optional{found->second.digest};
  });
  for (const auto& [image, digest] : pinned.digests) desired.digests[image + "@" + digest] = digest;
  for (const auto& image : pinned.unresolved) {
    if (const auto found = known.find(image); found != known.end()) desired.notes.push_back(fmt::format("{} stays a tag: {}", image, found->second.why));
  }
}

std::string first_image(const kube::Object& workload) {
  const auto pointer = kube::pod_spec_pointer(workload);
  if (pointer.empty()) return {};
  const auto& spec = workload.json().at(Json::json_pointer{pointer});
  return spec.contains("containers") && !spec.at("containers").empty() ? spec.at("containers").front().value("image", "") : std::string{};
}

}  // namespace

Desired load_desired(Cluster& cluster, const std::string& version, const Limits& limits) {
  const auto& environment = cluster.environment();
  Desired desired;
  desired.version = version;
  const auto& manifests = cluster.manifests();
  desired.warnings = manifests.warnings;
  if (manifests.objects.empty()) {
    throw Failure{Exit::config, fmt::format("there is no manifest in {}", environment.kubernetes.manifests), "kubernetes: {manifests: FOLDER} in codops.yaml"};
  }
  auto objects = manifests.objects;
  if (!kube::put_version(objects, rules_for(environment, version))) {
    throw Failure{Exit::config, "no image of the manifests changes with the version",
                  fmt::format("write image: NAME:${{{}}} in the manifests, or images: {{WORKLOAD: \"NAME:{{version}}\"}} in codops.yaml",
                              environment.version_variable.empty() ? "VERSION" : environment.version_variable)};
  }
  for (const auto& image : kube::images_of(objects)) {
    if (image.image.find("${") == std::string::npos) continue;
    throw Failure{Exit::config, fmt::format("{}: the image {} has a variable that nothing gives a value", image.object.text(), image.image),
                  fmt::format("only ${{{}}} is replaced; write the rest out, or images: {{{}: \"NAME:{{version}}\"}} in codops.yaml",
                              environment.version_variable.empty() ? "VERSION" : environment.version_variable, image.object.name)};
  }
  pin_digests(cluster, objects, desired, limits);
  for (auto& object : objects) kube::settle_secret(object);
  const auto refused = kube::refuse_early(objects);
  if (!refused.empty()) throw Failure{Exit::config, fmt::format("{}", fmt::join(refused, "\n       ")), "nothing was changed"};
  desired.later = kube::place(objects, cluster.types(objects, limits), cluster.namespace_()).later;
  desired.images = kube::images_of(objects);
  for (auto& object : objects) (is_migration(object) ? desired.migrations : desired.objects).push_back(std::move(object));
  kube::join(desired.objects, cluster.set());
  kube::sort_for_apply(desired.objects);
  return desired;
}

std::string key_of(const kube::Object& object) {
  const auto ref = object.ref();
  return fmt::format("{}/{}/{}/{}", ref.group, ref.kind, ref.namespace_, ref.name);
}

void ask_about_autoscalers(Questions& questions, const std::vector<kube::Object>& objects, std::vector<kube::Object>& autoscalers) {
  std::set<std::string> namespaces;
  for (const auto& object : objects) {
    if (kube::has_replicas(object)) namespaces.insert(object.namespace_());
  }
  for (const auto& name : namespaces) questions.list("autoscaling/v2", "HorizontalPodAutoscaler", name, {}, into(autoscalers));
}

std::vector<kube::Ref> leave_scaled(const Cluster& cluster, std::vector<kube::Object>& objects, const Observed& observed, std::vector<kube::Object> autoscalers) {
  std::vector<kube::Object> live;
  for (const auto& [ref, object] : observed.live) live.push_back(object);
  // One of ours that the manifests have no more goes with this very release.
  std::erase_if(autoscalers, [&](const auto& one) {
    return one.label(kube::applyset_part_of) == cluster.set().id() && std::none_of(objects.begin(), objects.end(), [&](const auto& object) { return object.ref() == one.ref(); });
  });
  return kube::drop_scaled_replicas(objects, live, autoscalers, std::string{k8s::field_manager});
}

void settle_replicas(const Cluster& cluster, Desired& desired, const Observed& observed, std::vector<kube::Object> autoscalers) {
  const auto scaled = leave_scaled(cluster, desired.objects, observed, std::move(autoscalers));
  for (const auto& ref : scaled) desired.notes.push_back(fmt::format("{}: its HorizontalPodAutoscaler says how many replicas", ref.text()));
  desired.services = services_of(desired.objects, desired.digests);
  const auto* current = observed.snapshot.current();
  if (current == nullptr) return;
  std::size_t index = 0;
  for (auto& object : desired.objects) {
    if (!kube::is_workload(object)) continue;
    auto& service = desired.services.at(index++);
    const auto* was = current->service(service.name);
    const auto* live_one = observed.find(object.ref());
    if (was != nullptr && was->replicas == 0 && kube::has_replicas(object) && !kube::replicas_of(object) && live_one != nullptr && kube::replicas_of(*live_one) == 0) {
      service.replicas = 0;
      desired.notes.push_back(fmt::format("{} was scaled to 0 and stays so: codops scale {} {}=N", object.ref().text(), cluster.environment().name, service.name));
      continue;
    }
    if (was == nullptr || service.configured_replicas == 0 || was->replicas == was->configured_replicas || was->configured_replicas != service.configured_replicas) continue;
    if (std::find(scaled.begin(), scaled.end(), object.ref()) != scaled.end()) continue;
    object.edit()["spec"]["replicas"] = service.replicas = was->replicas;
    desired.notes.push_back(fmt::format("{} stays at the {} replicas that it was scaled to; the manifest says {}", object.ref().text(), was->replicas, service.configured_replicas));
  }
}

std::vector<kube::Object> objects_of(const release::Specs& specs) {
  std::vector<kube::Object> objects;
  for (const auto& [key, spec] : specs) {
    if (key.starts_with(before_prefix)) continue;
    objects.push_back(kube::Object::parse(spec.reveal()));
    kube::settle_secret(objects.back());  // of an older codops
  }
  kube::sort_for_apply(objects);
  return objects;
}

std::vector<kube::Object> before_of(const release::Specs& specs) {
  std::vector<kube::Object> objects;
  for (const auto& [key, spec] : specs) {
    if (key.starts_with(before_prefix)) objects.push_back(kube::Object::parse(spec.reveal()));
  }
  kube::sort_for_apply(objects);
  return objects;
}

release::Specs specs_of(const std::vector<kube::Object>& objects, const std::vector<kube::Object>& before) {
  release::Specs specs;
  for (const auto& object : objects) specs.emplace(key_of(object), Secret{object.dump()});
  for (const auto& object : before) specs.emplace(std::string{before_prefix} + key_of(object), Secret{object.dump()});
  return specs;
}

std::vector<release::ServiceRecord> services_of(const std::vector<kube::Object>& objects, const std::map<std::string, std::string>& digests) {
  std::vector<release::ServiceRecord> services;
  const auto names = workload_names(objects);
  std::size_t index = 0;
  for (const auto& object : objects) {
    if (!kube::is_workload(object)) continue;
    release::ServiceRecord service;
    service.name = names.at(index++);
    service.role = object.kind() == "StatefulSet" ? release::Role::stateful : object.kind() == "Job" ? release::Role::one_shot : release::Role::stateless;
    service.image = first_image(object);
    if (const auto found = digests.find(service.image); found != digests.end()) service.digest = service.image_id = found->second;
    service.hash = io::sha256_hex(object.dump());
    const auto& spec = object.json().contains("spec") ? object.json().at("spec") : Json::object();
    service.replicas = spec.value("replicas", 1);
    service.configured_replicas = spec.value("replicas", 0);
    services.push_back(std::move(service));
  }
  return services;
}

std::vector<std::string> workload_names(const std::vector<kube::Object>& objects) {
  std::map<std::string, int> times;
  for (const auto& object : objects) {
    if (kube::is_workload(object)) ++times[object.name()];
  }
  std::vector<std::string> names;
  for (const auto& object : objects) {
    if (!kube::is_workload(object)) continue;
    names.push_back(times[object.name()] == 1 ? object.name() : object.ref().text());
  }
  return names;
}

const kube::Object& workload_named(const std::vector<kube::Object>& objects, const std::string& name) {
  for (const auto& object : objects) {
    if (kube::is_workload(object) && (object.name() == name || object.ref().text() == name)) return object;
  }
  const auto names = workload_names(objects);
  const auto near = nearest(name, names);
  throw Failure{Exit::usage, fmt::format("there is no workload \"{}\"", name),
                near.empty() ? fmt::format("there are: {}", fmt::join(names, ", ")) : fmt::format("did you mean \"{}\"?", near)};
}

}  // namespace codops::ops::kubernetes
