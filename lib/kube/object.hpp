#pragma once
// A Kubernetes object: its JSON, and where it was written if a file holds it. Copies are cheap (shared until edited).
#include <compare>
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/text/node.hpp"

namespace codops::kube {

// What names an object in a cluster: two versions of one group are the same object.
struct Ref {
  std::string group;       // "" is the core group
  std::string kind;
  std::string namespace_;  // empty: cluster-scoped, or not settled yet
  std::string name;

  auto operator<=>(const Ref&) const = default;
  // As kubectl names it, for people: "deployment/web", "ingress.networking.k8s.io/web" for groups that are not of workloads.
  std::string text() const;
};

class Object {
 public:
  Object();  // null
  explicit Object(nlohmann::json value, std::shared_ptr<const text::Node> source = nullptr);
  // Failure{unavailable} when it is not JSON: for what a server sent.
  static Object parse(std::string_view json);

  const nlohmann::json& json() const noexcept { return *value_; }
  nlohmann::json& edit();  // copies first when others share it
  std::string dump() const;  // canonical: sorted keys, no spaces

  bool empty() const noexcept;  // null
  std::string api_version() const;
  std::string group() const;    // "apps" of "apps/v1"
  std::string version() const;  // "v1"
  std::string kind() const;
  std::string name() const;
  std::string namespace_() const;
  std::string uid() const;
  std::string resource_version() const;
  std::int64_t generation() const;
  Ref ref() const;
  bool is_going() const;             // deleted already, and there until its finalizers are done
  std::string finalizers() const;    // "a, b"; "" when there are none
  std::string label(std::string_view key) const;       // "" when absent
  std::string annotation(std::string_view key) const;  // "" when absent
  void set_namespace(std::string_view value);
  void set_label(std::string_view key, std::string_view value);
  void set_annotation(std::string_view key, std::string_view value);

  // Where the object begins in a file; without a file nothing is known.
  text::Position at() const;
  // Where a field of it stands ("spec.template.spec.containers[0].image", as the API server writes paths), or the nearest
  // parent that the file has.
  text::Position at(std::string_view field) const;
  const std::shared_ptr<const text::Node>& source() const noexcept { return source_; }
  void set_source(std::shared_ptr<const text::Node> source) { source_ = std::move(source); }

 private:
  std::shared_ptr<nlohmann::json> value_;
  std::shared_ptr<const text::Node> source_;
};

// kind List, or …List with items: its items, each with its own source; anything else: itself.
std::vector<Object> flatten(Object object);

// Deployment, StatefulSet, DaemonSet, Job (those whose rollout is watched).
bool is_workload(const Object& object);
// Which of the containers of a pod spec people mean: kubectl.kubernetes.io/default-container among the pod's `annotations`, else the first.
std::size_t main_container(const nlohmann::json& containers, const nlohmann::json& annotations);
// The pod template's spec of any built-in kind that has one (Pod: its own), as a JSON pointer; "" when there is none.
std::string pod_spec_pointer(const Object& object);

}  // namespace codops::kube
