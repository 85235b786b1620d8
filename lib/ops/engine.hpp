#pragma once
// An environment, opened on whichever engine it has: all that the verbs ask for. No verb asks which engine that is; a new
// engine is an implementation of this and a row in engine.cpp.
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/reporter.hpp"
#include "lib/health/check.hpp"
#include "lib/ops/drill_server.hpp"
#include "lib/ops/requests.hpp"
#include "lib/release/release_store.hpp"
#include "lib/settings/environment.hpp"
#include "lib/target/containers.hpp"
#include "lib/target/state.hpp"

namespace codops::ops {

class Engine {
 public:
  virtual ~Engine() = default;

  virtual const settings::Environment& environment() const = 0;
  // "docker on unix socket", "kubernetes at https://10.0.0.1:6443"
  virtual std::string shown() const = 0;
  // The engine's clock by its last answer, else ours.
  virtual WallTime now() const = 0;
  virtual target::Containers& containers() = 0;
  virtual target::Dialer& dialer() = 0;
  // `purpose`: "deploy" or "backup".
  virtual std::unique_ptr<target::LockPrimitive> lock(const std::string& purpose) = 0;

  // Releases, history, journals. Failure{config} when another environment owns the place.
  virtual release::Snapshot snapshot(const Limits& limits) = 0;
  virtual StatusReport status(const Limits& limits) = 0;
  // `write` returns false when nobody reads any more.
  virtual void logs(const LogsRequest& request, const std::function<bool(std::string_view)>& write, const Limits& limits) = 0;

  // Names of what runs for ever or once, for checks by convention, and how one of them does. Failure{config} where the engine has none.
  virtual std::vector<std::string> workloads(const Limits& limits) = 0;
  virtual health::WorkloadState workload(const std::string& name, const Limits& limits) = 0;

  // Exactly what a deploy of that version would apply, as one JSON document. Failure{config} where the engine has other definitions.
  virtual std::string rendered(const std::string& version, const Limits& limits) = 0;

  // A PostgreSQL's URL by the name of its variable in the application's definitions; nullopt: none has it.
  virtual std::optional<std::string> defined_url(const std::string& variable) = 0;
  // The same, where it is in pieces (DB_HOST, …). `asked`: as in_pieces() of store_kind.hpp has it.
  virtual std::optional<std::string> defined_in_pieces(bool asked) = 0;
  // Whether a host name of such a URL means something of the environment, and a way from here to a container behind it; nullopt:
  // none runs. `target` then goes that way.
  virtual bool is_inside(const std::string& host) = 0;
  virtual std::optional<ReachedContainer> reach(const std::string& host, io::postgres::Target& target, const Limits& limits) = 0;

  // A PostgreSQL of that image for one drill (drill_server.hpp), gone with the object. Null: such an engine has none.
  virtual std::unique_ptr<DrillServer> drill_server(const std::string& image, const std::string& shown, const Limits& limits) = 0;

  virtual DeployResult deploy(const DeployRequest& request, const Limits& limits) = 0;
  virtual DeployResult rollback(const RollbackRequest& request, const Limits& limits) = 0;
  // Takes the lock and recovers what a run that died left; removes then what no kept release needs.
  virtual Recovery recover(const std::string& command, Milliseconds lock_wait, RecoveryWay way, const Limits& limits) = 0;

  // With the caller's own terminal; returns the exit code.
  virtual int exec_on_terminal(const std::string& container, const std::vector<std::string>& argv, const std::string& user, const Limits& limits) = 0;
  // Removed afterwards whatever happens; returns the exit code.
  virtual int run(const OneOff& one_off, const target::ExecStreams& streams, const Limits& limits) = 0;
  virtual int run_on_terminal(const OneOff& one_off, const Limits& limits) = 0;

  virtual DownPlan plan_down(const DownRequest& request, const Limits& limits) = 0;
  // Returns what was removed: that may be more than was planned, where the user agreed again.
  virtual DownPlan down(const DownPlan& plan, const DownRequest& request, const Limits& limits) = 0;
  virtual void maintenance(bool on, const std::optional<std::string>& page, const std::string& command, Milliseconds lock_wait, const Limits& limits) = 0;
  // `only` empty: all that can be built.
  virtual std::vector<Built> build(const std::string& version, const std::vector<std::string>& only, bool push, const Limits& limits) = 0;
};

// Nothing is asked of the engine before the first use. `shell`: the caller's environment variables. Failure{config} for an engine
// that this codops has no implementation of.
std::unique_ptr<Engine> open_engine(settings::Environment environment, std::map<std::string, std::string> shell, Reporter& reporter, const Clock& clock);

}  // namespace codops::ops
