#pragma once
// An environment in a Kubernetes cluster, opened: the API server, the namespace, the environment's state there.
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "lib/base/reporter.hpp"
#include "lib/kube/applyset.hpp"
#include "lib/kube/manifests.hpp"
#include "lib/kube/order.hpp"
#include "lib/ops/kubernetes/digests.hpp"
#include "lib/release/release_store.hpp"
#include "lib/settings/environment.hpp"
#include "lib/target/containers.hpp"

namespace codops::engine::kubernetes {
class Api;
struct Connection;
struct ObjectRef;
}

namespace codops::ops::kubernetes {

namespace k8s = engine::kubernetes;

struct KnownRights;

class Cluster {
 public:
  // Reads the kubeconfig and, for the namespace, the manifests: Failure{config} when they can't be read and the settings name none. Asks the
  // server nothing before the first use, but which of several namespaces has the state.
  Cluster(settings::Environment environment, std::map<std::string, std::string> shell, Reporter& reporter, const Clock& clock);
  ~Cluster();

  const settings::Environment& environment() const { return environment_; }
  const std::map<std::string, std::string>& shell() const { return shell_; }
  // Names the state, the lock and the set of objects in the namespace: settings' project, else that of the folder.
  const std::string& project() const { return project_; }
  // Settings', else the only one that the manifests name; of several the one that has the state, else the context's.
  const std::string& namespace_() const { return namespace__; }
  std::string shown() const;

  // Read once. Failure{config} when they can't be.
  const kube::Manifests& manifests();

  k8s::Api& api() { return *api_; }
  release::ReleaseStore& store() { return *store_; }
  target::Containers& containers() { return *containers_; }
  target::Dialer& dialer() { return *dialer_; }
  Digests& digests();
  Reporter& reporter() { return reporter_; }
  const Clock& clock() const { return clock_; }
  WallTime now() const;  // the API server's by its last answer, else ours

  std::unique_ptr<target::LockPrimitive> lock(const std::string& purpose);
  void require_owner(const release::Snapshot& snapshot) const { require_owner(snapshot.environment); }
  void require_owner(const std::string& owner) const;  // empty: nobody
  bool namespace_exists(const Limits& limits);

  kube::ApplySet set() const;
  // Built-in kinds; with `objects`, or members of the set by its parent, of others: those that the server has.
  const kube::ResourceTypes& types(const std::vector<kube::Object>& objects, const Limits& limits, const kube::Object& parent = {});
  // Null: nothing was ever deployed. Asked for once: what it becomes is ours to write, under the lock.
  kube::Object set_parent(const Limits& limits);
  void apply_set_parent(const kube::Object& parent, const Limits& limits);
  // What the user may do, as far as it was asked.
  KnownRights& rights() { return *rights_; }
  void rediscover();

 private:
  std::set<std::string> named_namespaces();
  k8s::Connection connect();

  settings::Environment environment_;
  std::map<std::string, std::string> shell_;
  Reporter& reporter_;
  const Clock& clock_;
  std::string project_, namespace__;
  std::optional<kube::Manifests> manifests_;
  std::unique_ptr<k8s::Api> api_;
  std::unique_ptr<target::StateStore> state_;
  std::unique_ptr<release::ReleaseStore> store_;
  std::unique_ptr<target::Containers> containers_;
  std::unique_ptr<target::Dialer> dialer_;
  std::unique_ptr<kube::ResourceTypes> types_;
  std::optional<kube::Object> set_parent_;
  std::unique_ptr<KnownRights> rights_;
  std::optional<Digests> digests_;
};

Failure no_namespace(const std::string& name);

// Of an object, as the client names it.
k8s::ObjectRef ref_of(const kube::Object& object);

}  // namespace codops::ops::kubernetes
