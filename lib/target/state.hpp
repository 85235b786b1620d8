#pragma once
// State and lock at the target: the same for a laptop, a CI runner and cron.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/cancel.hpp"

namespace codops::target {

// Files by path ("production/releases/000012.json") in the environment's state: small, whole, durable against the
// death of client and engine.
class StateStore {
 public:
  virtual ~StateStore() = default;
  virtual std::optional<std::string> read(const std::string& path, const Limits& limits) = 0;
  // Every file below `folder`, with content, sorted by path: one round trip.
  struct File {
    std::string path;
    std::string content;
    int mode{0600}, uid{0}, gid{0};  // where a state is made of files
  };
  virtual std::vector<File> read_all(const std::string& folder, const Limits& limits) = 0;
  // The last one only once all the others are there.
  virtual void write(const std::vector<File>& files, const Limits& limits) = 0;
  virtual void remove(const std::vector<std::string>& paths, const Limits& limits) = 0;
};

// Who holds a lock, as shown to whom it keeps out.
struct LockOwner {
  std::string owner;      // "alice", "CI run 4182"
  std::string host;
  std::string command;    // "deploy production v1.0.0"
  std::string boot_id;    // of the holder's kernel
  std::string pid_namespace;
  std::int64_t pid{};
  std::uint64_t start_time{};  // of the process, in clock ticks since boot (proc(5), field 22)
  WallTime since;         // on the engine's clock
};

struct LockState {
  std::string token;  // the fencing token: names this very holding
  LockOwner owner;
  std::optional<WallTime> heartbeat;  // on the engine's clock
  WallTime engine_now;                // when this was read, on the engine's clock
};

// The primitive that an engine offers: an atomic create-if-absent with a heartbeat; policy is in lib/release.
class LockPrimitive {
 public:
  virtual ~LockPrimitive() = default;
  // The token, or nullopt when somebody holds it.
  virtual std::optional<std::string> try_create(const LockOwner& owner, const Limits& limits) = 0;
  virtual std::optional<LockState> inspect(const Limits& limits) = 0;
  // False: the token's holding no longer exists (evicted), and nothing was written. `files` go to the environment's
  // state in the same breath: who lost the lock can't write.
  virtual bool heartbeat(const std::string& token, const std::vector<StateStore::File>& files, const Limits& limits) = 0;
  // Whether the token's holding exists, where that is asked for less than a heartbeat; nullopt: a heartbeat tells.
  virtual std::optional<bool> holds(const std::string& /*token*/, const Limits& /*limits*/) { return std::nullopt; }
  // New files by a quicker way that is no heartbeat, where there is one. nullopt: there is none, or not for these; nothing was written.
  // False as above.
  virtual std::optional<bool> write_new(const std::string& /*token*/, const std::vector<StateStore::File>& /*files*/, const Limits& /*limits*/) { return std::nullopt; }
  // Removes exactly that holding; absent is fine.
  virtual void remove(const std::string& token, const Limits& limits) = 0;
};

}  // namespace codops::target
