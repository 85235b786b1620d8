#pragma once
// target::LockPrimitive on a Docker host: a container of a fixed name that never runs. Creating it is the
// compare-and-swap (409 when it exists), its id the fencing token, its labels the owner. The heartbeat is the time stamp
// of a small file in it, on the engine's clock; an evicted token answers 404. The state volume is mounted in it, so that
// one call is the heartbeat and writes to the state, or is refused whole.
#include <string>

#include "lib/engine/docker/api.hpp"
#include "lib/target/state.hpp"

namespace codops::engine::docker {

// A process as a label's value, and back; what is missing in a text that nobody of us wrote is empty.
std::string owner_text(const target::LockOwner& owner);
target::LockOwner owner_from(const std::string& text);

class LockContainer final : public target::LockPrimitive {
 public:
  // `purpose`: "deploy", "backup": locks of their own.
  LockContainer(Api& api, std::string project, std::string_view purpose);

  std::optional<std::string> try_create(const target::LockOwner& owner, const Limits& limits) override;
  std::optional<target::LockState> inspect(const Limits& limits) override;
  bool heartbeat(const std::string& token, const std::vector<target::StateStore::File>& files, const Limits& limits) override;
  std::optional<bool> holds(const std::string& token, const Limits& limits) override;
  std::optional<bool> write_new(const std::string& token, const std::vector<target::StateStore::File>& files, const Limits& limits) override;
  void remove(const std::string& token, const Limits& limits) override;

 private:
  Api& api_;
  std::string project_, name_, state_volume_;
  std::string mountpoint_;  // of the state volume, where it is a folder of this machine
};

}  // namespace codops::engine::docker
