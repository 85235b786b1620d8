#pragma once
// A store in a local directory (or a mounted one).
#include <filesystem>

#include "lib/store/store.hpp"

namespace codops::store {

class DirectoryStore : public Store {
 public:
  // Created, mode 0700, when the first object is.
  explicit DirectoryStore(std::filesystem::path root);

  std::string describe() const override { return root_.string(); }
  std::unique_ptr<Upload> create(const std::string& name, const Limits& limits, Retain retain = Retain::no) override;
  bool put_new(const std::string& name, std::string_view content, const Limits& limits) override;
  std::unique_ptr<io::Reader> open(const std::string& name, const Limits& limits) override;
  std::optional<Object> find(const std::string& name, const Limits& limits) override;
  std::vector<Object> list(const std::string& folder, const Limits& limits) override;
  void remove(const std::string& name, const Limits& limits) override;
  std::optional<WallTime> retained_until(const std::string&, const Limits&) override { return std::nullopt; }
  void sweep(const std::string& folder, const Limits& limits) override;
  std::unique_ptr<StoreLock> try_lock(const std::string& name, const Limits& limits, LockHolder* holder = nullptr) override;

 private:
  std::filesystem::path root_;
};

}  // namespace codops::store
