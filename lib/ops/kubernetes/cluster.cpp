#include "lib/ops/kubernetes/cluster.hpp"

#include <fmt/format.h>

#include <set>

#include "lib/engine/kubernetes/api.hpp"
#include "lib/engine/kubernetes/containers.hpp"
#include "lib/engine/kubernetes/dialer.hpp"
#include "lib/engine/kubernetes/kubeconfig.hpp"
#include "lib/engine/kubernetes/lock.hpp"
#include "lib/engine/kubernetes/state_store.hpp"
#include "lib/ops/hooks.hpp"
#include "lib/ops/kubernetes/rights.hpp"
#include "lib/ops/own_containers.hpp"

namespace codops::ops::kubernetes {
namespace {

// By compose's rule for a folder's name, so that it can be part of an object's.
std::string project_of(const settings::Environment& environment) {
  if (!environment.project.empty()) return environment.project;
  std::string name;
  for (const char c : environment.directory.filename().string()) {
    if (c >= 'A' && c <= 'Z') name += static_cast<char>(c - 'A' + 'a');
    else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c == '-' && !name.empty())) name += c;
  }
  while (name.ends_with('-')) name.pop_back();
  return name.empty() ? "project" : name.substr(0, 40);
}

constexpr Milliseconds look_for_state_time{5000};

k8s::Connection connection_of(const settings::Environment& environment, const std::map<std::string, std::string>& shell, std::string namespace_) {
  const auto look = [&](std::string_view name) -> std::optional<std::string> {
    const auto found = shell.find(std::string{name});
    return found == shell.end() ? std::nullopt : std::optional{found->second};
  };
  return k8s::resolve_connection({environment.kubernetes.kubeconfig, environment.kubernetes.context, std::move(namespace_)}, look);
}

}  // namespace

Cluster::Cluster(settings::Environment environment, std::map<std::string, std::string> shell, Reporter& reporter, const Clock& clock)
    : environment_{std::move(environment)}, shell_{std::move(shell)}, reporter_{reporter}, clock_{clock},
      project_{project_of(environment_)} {
  name_hooks(environment_, shell_);
  auto connection = connect();
  namespace__ = connection.namespace_;
  api_ = std::make_unique<k8s::Api>(std::move(connection), k8s::ClientOptions{environment_.timeouts.engine});
  state_ = std::make_unique<k8s::SecretStore>(*api_, namespace__, project_);
  store_ = std::make_unique<release::ReleaseStore>(*state_);
  containers_ = std::make_unique<OwnContainers>(std::make_unique<k8s::PodContainers>(*api_, namespace__), [this](const Limits& limits) {
    try {
      require_owner(store_->environment(limits));
    } catch (const k8s::ApiError& error) {
      if (error.status() != 403) throw;  // who may look at pods alone
    }
  });
  dialer_ = std::make_unique<k8s::PodDialer>(*api_, namespace__);
  rights_ = std::make_unique<KnownRights>();
}

Cluster::~Cluster() = default;

const kube::Manifests& Cluster::manifests() {
  if (!manifests_) manifests_ = kube::load_manifests(environment_.kubernetes.manifests, environment_.directory);
  return *manifests_;
}

Digests& Cluster::digests() {
  if (!digests_) digests_.emplace(shell_);
  return *digests_;
}

std::set<std::string> Cluster::named_namespaces() {
  std::set<std::string> names;
  try {
    for (const auto& object : manifests().objects) {
      if (object.kind() == "Namespace" && object.group().empty()) names.insert(object.name());
      else if (!object.namespace_().empty()) names.insert(object.namespace_());
    }
  } catch (const Failure& failure) {
    // Another namespace than theirs would look as if nothing were deployed.
    throw Failure{Exit::config, fmt::format("the namespace of {} can't be read out of its manifests: {}", environment_.name, failure.message()),
                  fmt::format("mend that, or set environments.{}.kubernetes.namespace in codops.yaml", environment_.name)};
  }
  return names;
}

k8s::Connection Cluster::connect() {
  const auto& configured = environment_.kubernetes.namespace_;
  if (!configured.empty()) return connection_of(environment_, shell_, configured);
  auto names = named_namespaces();
  if (names.size() == 1) return connection_of(environment_, shell_, *names.begin());
  auto connection = connection_of(environment_, shell_, {});
  if (names.empty()) return connection;
  // A namespace that came into the manifests later must not move the state: it is where it is.
  names.insert(connection.namespace_);
  k8s::Api api{connection, k8s::ClientOptions{environment_.timeouts.engine}};
  const auto limits = Limits{}.within(look_for_state_time);
  std::vector<std::string> with_state;
  for (const auto& name : names) {
    k8s::SecretStore state{api, name, project_};
    try {
      if (release::ReleaseStore{state}.load(limits).environment == environment_.name) with_state.push_back(name);
    } catch (const k8s::ApiError& error) {
      if (error.status() != 403) throw;  // where we may not look we have not deployed
    }
  }
  if (with_state.size() > 1) {
    throw Failure{Exit::config, fmt::format("{} has its state in several namespaces: {}", environment_.name, fmt::join(with_state, ", ")),
                  fmt::format("say which it is: environments.{}.kubernetes.namespace in codops.yaml", environment_.name)};
  }
  if (with_state.size() == 1) connection.namespace_ = with_state.front();
  return connection;
}

std::string Cluster::shown() const {
  const auto& connection = api_->client().connection();
  return fmt::format("kubernetes at {}, namespace {}", connection.server.url, namespace__);
}

WallTime Cluster::now() const { return api_->client().server_now().value_or(clock_.now()); }

std::unique_ptr<target::LockPrimitive> Cluster::lock(const std::string& purpose) {
  return std::make_unique<k8s::LeaseLock>(*api_, namespace__, project_, purpose);
}

void Cluster::require_owner(const std::string& owner) const {
  if (owner.empty() || owner == environment_.name) return;
  throw Failure{Exit::config,
                fmt::format("\"{}\" in the namespace {} belongs to the environment \"{}\", not to \"{}\"", project_, namespace__, owner,
                            environment_.name),
                fmt::format("give {} a namespace or a name of its own: environments.{}.kubernetes.namespace or .project in codops.yaml", environment_.name,
                            environment_.name)};
}

bool Cluster::namespace_exists(const Limits& limits) {
  try {
    return api_->find({"v1", "Namespace", {}, namespace__}, limits).has_value();
  } catch (const k8s::ApiError& error) {
    if (error.status() != 403) throw;
    return true;  // who may not look finds out by the lock
  }
}

kube::ApplySet Cluster::set() const { return {fmt::format("codops-{}", project_), namespace__, "codops/0.1"}; }

kube::Object Cluster::set_parent(const Limits& limits) {
  if (set_parent_) return *set_parent_;
  const auto of = set();
  auto found = api_->find({"v1", "Secret", of.namespace_, of.name}, limits);
  return set_parent_.emplace(found ? kube::Object{std::move(*found)} : kube::Object{});
}

void Cluster::apply_set_parent(const kube::Object& parent, const Limits& limits) {
  set_parent_.reset();
  set_parent_.emplace(*api_->apply(parent.json(), {.force = true}, limits).object);
}

const kube::ResourceTypes& Cluster::types(const std::vector<kube::Object>& objects, const Limits& limits, const kube::Object& parent) {
  const auto& built_in = kube::ResourceTypes::built_in();
  const bool all_known = std::all_of(objects.begin(), objects.end(), [&](const auto& object) { return built_in.find(object) != nullptr; });
  if (all_known && kube::knows_members(parent, built_in)) return built_in;
  if (!types_) {
    std::vector<kube::ResourceType> found;
    for (auto& resource : api_->all_resources(limits)) {
      found.push_back({resource.group, resource.version, resource.kind, resource.plural, resource.namespaced, resource.verbs});
    }
    types_ = std::make_unique<kube::ResourceTypes>(std::move(found));
  }
  return *types_;
}

void Cluster::rediscover() {
  types_.reset();
  api_->rediscover();
}

Failure no_namespace(const std::string& name) {
  return {Exit::config, fmt::format("the cluster has no namespace \"{}\"", name), fmt::format("put it into the manifests, or: kubectl create namespace {}", name)};
}

k8s::ObjectRef ref_of(const kube::Object& object) { return {object.api_version(), object.kind(), object.namespace_(), object.name()}; }

}  // namespace codops::ops::kubernetes
