#pragma once
// `.codops/dev/`: what setup-dev keeps in a checkout. A folder of its own with a lock, and the ledger of what was done with
// which inputs. The ledger only saves time: whatever it says, a step looks at the real thing where that is cheap.
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "lib/base/cancel.hpp"
#include "lib/base/reporter.hpp"
#include "lib/io/files.hpp"

namespace codops::scaffold::dev {

// The folder's path. `.codops` or `.codops/dev` being a link is refused: servers and secrets are kept there. So is
// another user's: two users' servers would stand in each other's way. Throws Failure{failed}.
std::filesystem::path dev_folder(const std::filesystem::path& project);
// Makes it (and a .gitignore inside, so that it is never committed). Throws Failure.
void make_dev_folder(const std::filesystem::path& project);

struct Done {
  std::string inputs;  // a hash or identity of what decides
  std::string note;    // a result worth keeping
};

// Thread-safe. Kept as JSON: {"format":1,"done":{KEY:{"inputs":…,"note":…}}}. A damaged or newer file counts as empty.
class Ledger {
 public:
  // Reads; with an empty folder (nothing made yet) it starts empty. Nothing is written before save().
  explicit Ledger(std::filesystem::path folder);

  std::optional<Done> find(const std::string& key) const;
  bool is(const std::string& key, const std::string& inputs) const;
  // For answers that may be lost: written with the next put(), drop() or save().
  void remember(const std::string& key, Done done);
  // On disk when these return.
  void put(const std::string& key, Done done);
  void drop(const std::string& key);
  // What was only remembered; nothing when there is no folder.
  void save();
  void clear();

 private:
  void write_locked();
  std::filesystem::path folder_;
  mutable std::mutex mutex_;
  std::map<std::string, Done> done_;
  bool dirty_{};
};

// One run at a time in a checkout. Waits at most `wait`, telling who holds it; then Failure{locked}.
class RunLock {
 public:
  static RunLock take(const std::filesystem::path& folder, const std::string& command, Milliseconds wait, Reporter& reporter, const Limits& limits);

 private:
  explicit RunLock(io::FileLock lock) : lock_{std::move(lock)} {}
  io::FileLock lock_;
};

}  // namespace codops::scaffold::dev
