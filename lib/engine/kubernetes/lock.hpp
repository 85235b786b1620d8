#pragma once
// target::LockPrimitive as a Lease: create answers 409 if it exists (the compare-and-swap), its UID is the token and a
// precondition of everything after. renewTime is written, and judged, by the API server's clock alone.
// A cluster has no call that writes two objects: files are written right after a renewal, and for no longer than half the
// time in which nobody may take the lock over.
#include <string>
#include <string_view>

#include "lib/engine/kubernetes/api.hpp"
#include "lib/engine/kubernetes/state_store.hpp"
#include "lib/target/state.hpp"

namespace codops::engine::kubernetes {

class LeaseLock final : public target::LockPrimitive {
 public:
  // The Lease is "codops-PROJECT-PURPOSE".
  LeaseLock(Api& api, std::string namespace_, const std::string& project, std::string_view purpose);

  std::optional<std::string> try_create(const target::LockOwner& owner, const Limits& limits) override;
  std::optional<target::LockState> inspect(const Limits& limits) override;
  bool heartbeat(const std::string& token, const std::vector<target::StateStore::File>& files, const Limits& limits) override;
  void remove(const std::string& token, const Limits& limits) override;

 private:
  Api& api_;
  std::string namespace_, name_;
  SecretStore store_;
};

}  // namespace codops::engine::kubernetes
