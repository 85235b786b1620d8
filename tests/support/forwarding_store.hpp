#pragma once
// A store that does as another one does; a test overrides what it wants to see or to change.
#include "lib/store/store.hpp"

namespace codops::tests {

class ForwardingStore : public store::Store {
 public:
  explicit ForwardingStore(store::Store& real) : real_{real} {}
  std::string describe() const override { return real_.describe(); }
  std::unique_ptr<store::Upload> create(const std::string& name, const Limits& limits, store::Retain retain) override { return real_.create(name, limits, retain); }
  std::unique_ptr<io::Reader> open(const std::string& name, const Limits& limits) override { return real_.open(name, limits); }
  std::optional<store::Object> find(const std::string& name, const Limits& limits) override { return real_.find(name, limits); }
  std::vector<store::Object> list(const std::string& folder, const Limits& limits) override { return real_.list(folder, limits); }
  void remove(const std::string& name, const Limits& limits) override { real_.remove(name, limits); }
  std::optional<WallTime> retained_until(const std::string& name, const Limits& limits) override { return real_.retained_until(name, limits); }
  void sweep(const std::string& folder, const Limits& limits) override { real_.sweep(folder, limits); }
  std::unique_ptr<store::StoreLock> try_lock(const std::string& name, const Limits& limits, store::LockHolder* holder) override { return real_.try_lock(name, limits, holder); }
  bool put_new(const std::string& name, std::string_view content, const Limits& limits) override { return real_.put_new(name, content, limits); }

 protected:
  store::Store& real_;
};

}  // namespace codops::tests
