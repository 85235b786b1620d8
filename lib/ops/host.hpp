#pragma once
// An environment on a Docker host, opened: the engine, the project's name, its state.
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "lib/base/reporter.hpp"
#include "lib/release/release_store.hpp"
#include "lib/settings/environment.hpp"
#include "lib/target/containers.hpp"

namespace codops::engine::docker {
class Api;
struct EngineInfo;
}

namespace codops::ops {

class Host {
 public:
  // Nothing is asked of the engine before the first use. `shell`: the caller's environment variables.
  Host(settings::Environment environment, std::map<std::string, std::string> shell, Reporter& reporter, const Clock& clock);
  ~Host();

  const settings::Environment& environment() const { return environment_; }
  const std::map<std::string, std::string>& shell() const { return shell_; }
  const std::string& project() const { return project_; }
  bool remote() const;
  std::string shown() const;  // "docker on unix socket", "docker at tcp://host:2376"

  engine::docker::Api& api() { return *api_; }
  release::ReleaseStore& store() { return *store_; }
  target::Containers& containers() { return *containers_; }
  target::Dialer& dialer() { return *dialer_; }
  const engine::docker::EngineInfo& engine_info(const Limits& limits);  // asked once
  WallTime api_clock() const;  // the engine's by its last answer, else ours
  Reporter& reporter() { return reporter_; }
  const Clock& clock() const { return clock_; }

  // `purpose`: "deploy" or "backup".
  std::unique_ptr<target::LockPrimitive> lock(const std::string& purpose);
  // Failure{config} when another environment owns this project's name on the engine.
  void require_owner(const release::Snapshot& snapshot) const { require_owner(snapshot.environment); }
  void require_owner(const std::string& owner) const;  // empty: nobody

 private:
  settings::Environment environment_;
  std::map<std::string, std::string> shell_;
  Reporter& reporter_;
  const Clock& clock_;
  std::string project_;
  std::unique_ptr<engine::docker::Api> api_;
  std::unique_ptr<target::StateStore> state_;
  std::unique_ptr<release::ReleaseStore> store_;
  std::unique_ptr<target::Containers> containers_;
  std::unique_ptr<target::Dialer> dialer_;
  std::mutex info_mutex_;
  std::unique_ptr<engine::docker::EngineInfo> info_;
};

}  // namespace codops::ops
