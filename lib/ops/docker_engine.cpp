// The verbs on a Docker host.
#include "lib/ops/docker_engine.hpp"

#include "lib/ops/build.hpp"
#include "lib/ops/compose_project.hpp"
#include "lib/ops/database.hpp"
#include "lib/ops/deploy.hpp"
#include "lib/ops/down.hpp"
#include "lib/ops/drill_container.hpp"
#include "lib/ops/interactive.hpp"
#include "lib/ops/logs.hpp"
#include "lib/ops/maintenance.hpp"
#include "lib/ops/one_off.hpp"
#include "lib/ops/status.hpp"

namespace codops::ops {
namespace {

class DockerEngine final : public Engine {
 public:
  DockerEngine(settings::Environment environment, std::map<std::string, std::string> shell, Reporter& reporter, const Clock& clock)
      : host_{std::move(environment), std::move(shell), reporter, clock} {}

  const settings::Environment& environment() const override { return host_.environment(); }
  std::string shown() const override { return host_.shown(); }
  WallTime now() const override { return host_.api_clock(); }
  target::Containers& containers() override { return host_.containers(); }
  target::Dialer& dialer() override { return host_.dialer(); }
  std::unique_ptr<target::LockPrimitive> lock(const std::string& purpose) override { return host_.lock(purpose); }

  release::Snapshot snapshot(const Limits& limits) override {
    auto snapshot = host_.store().load(limits);
    host_.require_owner(snapshot);
    return snapshot;
  }
  StatusReport status(const Limits& limits) override {
    const auto found = ops::status(host_, limits);
    return {found.healthy(), found.drifted(), text(found), json(found)};
  }
  void logs(const LogsRequest& request, const std::function<bool(std::string_view)>& write, const Limits& limits) override {
    stream_logs(host_, request, write, limits);
  }

  std::vector<std::string> workloads(const Limits&) override { return {}; }
  health::WorkloadState workload(const std::string&, const Limits&) override {
    throw Failure{Exit::config, "workloads are of Kubernetes; this environment is a Docker host", "containers: {} checks every container"};
  }

  std::string rendered(const std::string&, const Limits&) override {
    throw Failure{Exit::config, "manifests are of Kubernetes; this environment is a Docker host", "codops config compose " + host_.environment().name};
  }

  std::optional<std::string> defined_url(const std::string& variable) override {
    const auto project = compose();
    const auto defined = project ? url_in_definitions(*project, host_.environment(), variable) : std::nullopt;
    return defined ? std::optional{defined->value} : std::nullopt;
  }
  std::optional<std::string> defined_in_pieces(bool asked) override {
    const auto project = compose();
    const auto defined = project ? pieces_in_definitions(*project, host_.environment(), asked) : std::nullopt;
    return defined ? std::optional{defined->value} : std::nullopt;
  }
  bool is_inside(const std::string& host) override {
    const auto project = compose();
    return project && project->services.contains(host);
  }
  std::optional<ReachedContainer> reach(const std::string& host, io::postgres::Target& target, const Limits& limits) override {
    return reach_service(host_.containers(), host_.dialer(), host, target, limits);
  }

  std::unique_ptr<DrillServer> drill_server(const std::string& image, const std::string& shown, const Limits& limits) override {
    return start_drill_server(host_, image, shown, limits);
  }

  DeployResult deploy(const DeployRequest& request, const Limits& limits) override { return ops::deploy(host_, request, limits); }
  DeployResult rollback(const RollbackRequest& request, const Limits& limits) override { return ops::rollback(host_, request, limits); }
  Recovery recover(const std::string& command, Milliseconds lock_wait, RecoveryWay way, const Limits& limits) override {
    Transaction transaction{host_, command, {lock_wait}, limits, way};
    if (transaction.recovery().needed) transaction.prune(limits);
    return transaction.recovery();
  }

  int exec_on_terminal(const std::string& container, const std::vector<std::string>& argv, const std::string& user, const Limits& limits) override {
    return ops::exec_on_terminal(host_, container, argv, user, limits);
  }
  int run(const OneOff& one_off, const target::ExecStreams& streams, const Limits& limits) override {
    return run_one_off(host_, one_off, nullptr, limits, streams);
  }
  int run_on_terminal(const OneOff& one_off, const Limits& limits) override { return ops::run_on_terminal(host_, one_off, limits); }

  DownPlan plan_down(const DownRequest& request, const Limits& limits) override { return ops::plan_down(host_, request.volumes, limits); }
  DownPlan down(const DownPlan& plan, const DownRequest& request, const Limits& limits) override { return ops::down(host_, plan, request, limits); }
  void maintenance(bool on, const std::optional<std::string>& page, const std::string& command, Milliseconds lock_wait, const Limits& limits) override {
    ops::maintenance(host_, on, page, command, lock_wait, limits);
  }
  std::vector<Built> build(const std::string& version, const std::vector<std::string>& only, bool push, const Limits& limits) override {
    return build_services(host_, load_compose(host_.environment(), version, host_.shell()), only, push, limits);
  }

 private:
  // Its variables may be required: a version that reaches nothing stands in. nullopt: a project without a compose file, or one whose
  // deploy will say what is wrong with it.
  std::optional<compose::Project> compose() const {
    try {
      return load_compose(host_.environment(), "v0", host_.shell());
    } catch (const Failure&) {
      return std::nullopt;
    }
  }

  Host host_;
};

}  // namespace

std::unique_ptr<Engine> open_docker(settings::Environment environment, std::map<std::string, std::string> shell, Reporter& reporter, const Clock& clock) {
  return std::make_unique<DockerEngine>(std::move(environment), std::move(shell), reporter, clock);
}

}  // namespace codops::ops
