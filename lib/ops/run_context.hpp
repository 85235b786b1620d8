#pragma once
// What the actions of one run share. Made by ops/session.cpp; lives as long as the run.
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lib/base/known_secrets.hpp"
#include "lib/base/reporter.hpp"
#include "lib/ops/desired.hpp"
#include "lib/ops/observed.hpp"
#include "lib/release/release_store.hpp"

namespace codops::engine::docker {
class Api;
}

namespace codops::ops {

struct FrontDoorTarget {
  std::string url;          // "https://127.0.0.1:8443/health"
  std::string server_name;  // SNI and Host; empty: the url's
  std::string ca;           // PEM file; empty: the system's
  bool insecure{false};     // the default door is loopback: what counts there is the answer, not the name
  std::string expect{"200-399"};  // status codes
  bool chosen{false};             // by convention: nobody said that this door is the right one
  std::string secure_url;         // of a default door that speaks plain HTTP: where the same front speaks TLS; empty: nowhere
};

struct RunContext {
  engine::docker::Api& api;
  release::ReleaseStore& store;
  Reporter& reporter;
  const Clock& clock;

  std::string project;
  std::string environment;
  std::string token;     // of this run
  TrafficNetwork traffic;
  ProxySettings proxy;
  std::optional<FrontDoorTarget> front_door;
  Milliseconds ready_timeout{60'000};
  Milliseconds drain{30'000};

  release::Release next;
  std::optional<release::Release> current;
  release::Specs specs;                       // of next
  std::map<std::string, std::string> blobs;   // contents of next's files; others are read from the store
  std::vector<NamedObject> networks, volumes;

  // Before every change: throws Failure{locked} when somebody else holds the lock by now.
  std::function<void()> require_lock = [] {};

  // What the run learns on the way.
  std::vector<std::string> old_workers;       // the proxy's worker pids before the first switch
  std::optional<Deadline> drained_by;
  // Seen to its end by the step that stops the old set: the proxy took the new set alone a moment ago.
  std::function<void(const Limits&)> taking_over;
  std::set<std::string> crashed_before;                 // crash loops that were there before the run: no undo makes them well
  std::set<std::string> revived;                        // containers that an undo of this run started again: they boot
  std::map<std::string, std::int64_t> restarts_before;  // of containers that ran already when the run came to them
  // Containers whose stop was begun by a step that is undone: one that still runs may have got its signal.
  std::set<std::string> stops_begun;
  bool had_traffic{false};  // the new set, before traffic was led back from it
  int front_door_asked{0}, front_door_answered{0};
  bool front_door_redirects{false};  // to https, which nobody here answers
  std::map<std::string, Milliseconds> engine_time;  // per step, spent in the engine's create, start and stop calls

  std::string blob(const std::string& sha256, const Limits& limits);

  KnownSecrets environment_secrets;  // of the environment's own files
  // Those and the release's, found out when first asked for.
  const KnownSecrets& secrets(const Limits& limits);
  // The same for words that must be said whatever the engine answers: without those of files that it has and we don't, if need be.
  const KnownSecrets& secrets_at_hand();
  std::optional<KnownSecrets> found_secrets;
};

// Adds the time of a scope to engine_time[step].
class EngineTime {
 public:
  EngineTime(RunContext& context, const std::string& step);
  ~EngineTime();
  EngineTime(const EngineTime&) = delete;
  EngineTime& operator=(const EngineTime&) = delete;

 private:
  RunContext& context_;
  std::string step_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace codops::ops
