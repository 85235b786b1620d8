// The verbs on a cluster.
#include "lib/ops/kubernetes/engine.hpp"

#include <fmt/format.h>

#include "lib/engine/kubernetes/api.hpp"
#include "lib/engine/kubernetes/containers.hpp"
#include "lib/ops/database.hpp"
#include "lib/ops/kubernetes/database.hpp"
#include "lib/ops/kubernetes/deploy.hpp"
#include "lib/ops/kubernetes/down.hpp"
#include "lib/ops/kubernetes/interactive.hpp"
#include "lib/ops/kubernetes/one_off.hpp"
#include "lib/ops/kubernetes/services.hpp"
#include "lib/ops/kubernetes/status.hpp"
#include "lib/ops/kubernetes/transaction.hpp"
#include "lib/ops/logs.hpp"

namespace codops::ops::kubernetes {
namespace {

class KubernetesEngine final : public Engine {
 public:
  KubernetesEngine(settings::Environment environment, std::map<std::string, std::string> shell, Reporter& reporter, const Clock& clock)
      : cluster_{std::move(environment), std::move(shell), reporter, clock} {}

  const settings::Environment& environment() const override { return cluster_.environment(); }
  std::string shown() const override { return cluster_.shown(); }
  WallTime now() const override { return cluster_.now(); }
  target::Containers& containers() override { return cluster_.containers(); }
  target::Dialer& dialer() override { return cluster_.dialer(); }
  std::unique_ptr<target::LockPrimitive> lock(const std::string& purpose) override { return cluster_.lock(purpose); }

  release::Snapshot snapshot(const Limits& limits) override {
    auto snapshot = cluster_.store().load(limits);
    cluster_.require_owner(snapshot);
    return snapshot;
  }
  StatusReport status(const Limits& limits) override {
    const auto found = status_of(cluster_, limits);
    return {found.healthy(), !found.drift.empty(), text(found), json(found)};
  }
  void logs(const LogsRequest& request, const std::function<bool(std::string_view)>& write, const Limits& limits) override {
    const auto read = [&](const target::Container& container, const target::Sink& out, const target::Sink&) {
      const auto place = k8s::parse_container_id(container.id, cluster_.namespace_());
      k8s::LogOptions options;
      options.container = place.container;
      options.follow = request.follow;
      options.timestamps = request.timestamps;
      options.tail = request.tail;
      cluster_.api().logs(place.namespace_, place.pod, options, out, limits);
    };
    print_logs(cluster_.containers().list({}, !request.follow, limits), request, cluster_.environment().name, {}, read, write);
  }

  std::vector<std::string> workloads(const Limits& limits) override {
    const auto observed = observe_state(cluster_, limits);
    auto names = workload_names(observed.current_objects);
    for (auto& name : service_names(observed.current_objects)) names.push_back(std::move(name));
    return names;
  }
  health::WorkloadState workload(const std::string& name, const Limits& limits) override {
    if (names_service(name)) {
      const auto service = service_state(cluster_, name, limits);
      if (!service) return {.exists = false};
      const bool reached = service->why.empty();
      return {1, reached ? 1 : 0, 1, true, false, service->why};
    }
    const auto found = workload_summary(cluster_, name, observe_state(cluster_, limits), limits);
    if (!found) return {.exists = false};
    health::WorkloadState state{found->desired, found->ready, found->updated, true, false, {}};
    if (!found->why.empty()) state.reason = found->why.front();
    return state;
  }

  std::string rendered(const std::string& version, const Limits& limits) override { return kubernetes::rendered(cluster_, version, limits); }

  std::optional<std::string> defined_url(const std::string& variable) override { return defined([&](const auto& objects, const auto& workload) { return database_of(objects, variable, workload, live_objects()); }); }
  std::optional<std::string> defined_in_pieces(bool asked) override { return defined([&](const auto& objects, const auto& workload) { return database_in_pieces(objects, workload, asked, live_objects()); }); }
  // Names of Services, as pods say them.
  bool is_inside(const std::string& host) override {
    return host.find('.') == std::string::npos || host.ends_with(".svc") || host.find(".svc.") != std::string::npos || host.ends_with("." + cluster_.namespace_());
  }
  std::optional<ReachedContainer> reach(const std::string& host, io::postgres::Target& target, const Limits& limits) override {
    const int port = target.port.empty() ? 5432 : std::atoi(target.port.c_str());
    const auto pod = pod_behind(cluster_, host, port, limits);
    if (!pod) return std::nullopt;
    ReachedContainer reached;
    reached.container.id = pod->container;
    reached.container.name = pod->name;
    reached.endpoint = cluster_.dialer().dial(pod->container, static_cast<std::uint16_t>(port), limits);
    go_by(*reached.endpoint, target);
    return reached;
  }

  std::unique_ptr<DrillServer> drill_server(const std::string&, const std::string&, const Limits&) override { return nullptr; }

  DeployResult deploy(const DeployRequest& request, const Limits& limits) override { return kubernetes::deploy(cluster_, request, limits); }
  DeployResult rollback(const RollbackRequest& request, const Limits& limits) override { return kubernetes::rollback(cluster_, request, limits); }
  Recovery recover(const std::string& command, Milliseconds lock_wait, RecoveryWay way, const Limits& limits) override {
    Transaction transaction{cluster_, command, lock_wait, limits, way};
    if (transaction.recovery().needed) transaction.prune(limits);
    return transaction.recovery();
  }

  int exec_on_terminal(const std::string& container, const std::vector<std::string>& argv, const std::string& user, const Limits& limits) override {
    if (!user.empty()) throw Failure{Exit::usage, "Kubernetes runs a command in a pod as the container's own user", "leave out --user"};
    return kubernetes::exec_on_terminal(cluster_, container, argv, limits);
  }
  int run(const OneOff& one_off, const target::ExecStreams& streams, const Limits& limits) override { return run_one_off(cluster_, one_off, streams, limits); }
  int run_on_terminal(const OneOff& one_off, const Limits& limits) override { return kubernetes::run_on_terminal(cluster_, one_off, limits); }

  DownPlan plan_down(const DownRequest& request, const Limits& limits) override { return kubernetes::plan_down(cluster_, request, limits); }
  DownPlan down(const DownPlan& plan, const DownRequest& request, const Limits& limits) override {
    kubernetes::down(cluster_, request, limits);
    return plan;
  }
  void maintenance(bool, const std::optional<std::string>&, const std::string&, Milliseconds, const Limits&) override {
    throw Failure{Exit::config, "maintenance is for a proxy of codops' own on a Docker host",
                  "on Kubernetes the Ingress controller answers: see its annotations, or scale a page of your own"};
  }
  std::vector<Built> build(const std::string&, const std::vector<std::string>&, bool, const Limits&) override {
    throw Failure{Exit::config, "a cluster builds no images", fmt::format("build and push them where an engine is, then: codops deploy {} VERSION", cluster_.environment().name)};
  }

 private:
  // No part of the application's definitions where the cluster can't be asked: whoever needs the database says so.
  ReadLive live_objects() {
    constexpr Milliseconds patience{10'000};
    return [objects = std::make_shared<LiveObjects>(cluster_, Limits{}.within(patience))](const std::string& kind, const std::string& namespace_, const std::string& name) -> std::optional<nlohmann::json> {
      try {
        return (*objects)(kind, namespace_, name);
      } catch (const Failure&) {
        return std::nullopt;
      }
    };
  }

  template <class Find>
  std::optional<std::string> defined(const Find& find) {
    std::vector<kube::Object> objects;
    try {
      objects = cluster_.manifests().objects;
    } catch (const Failure&) {
      return std::nullopt;  // deploy says what is wrong with them
    }
    const auto named = find(objects, cluster_.environment().migrate.service);
    return named ? std::optional{named->url} : std::nullopt;
  }

  Cluster cluster_;
};

}  // namespace

std::unique_ptr<Engine> open_cluster(settings::Environment environment, std::map<std::string, std::string> shell, Reporter& reporter, const Clock& clock) {
  return std::make_unique<KubernetesEngine>(std::move(environment), std::move(shell), reporter, clock);
}

}  // namespace codops::ops::kubernetes
