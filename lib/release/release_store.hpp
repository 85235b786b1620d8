#pragma once
// The project's releases, history, journals and evidence at the target, read in one round trip and written in one.
// Layout of the state: meta/{environment.json,releases/,history/,journal/RUN/,evidence/RUN/}, which every command reads,
// and beside it secrets/NNNNNN.json, files/SHA256 and mounts/SHA256-MODE-UID-GID, which only those read that make containers.
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/secret.hpp"
#include "lib/plan/journal.hpp"
#include "lib/release/release.hpp"
#include "lib/target/state.hpp"

namespace codops::release {

// Service → JSON body of POST /containers/create, image pinned, environment included. Secret as a whole: values of
// variables may stand anywhere in it.
using Specs = std::map<std::string, Secret>;

struct Snapshot {
  std::string environment;           // which environment owns this project on this engine; empty: none yet
  std::map<int, Release> releases;   // by number
  std::vector<HistoryEntry> history; // oldest first
  std::vector<plan::Record> journals;
  std::map<std::string, std::string> evidence;  // path below evidence/ → JSON
  bool maintenance{false};           // the front answers 503, by record
  bool maintenance_settled{true};    // false: a `maintenance` died, and where the front leads is not known
  std::string maintenance_file;      // SHA-256 of the proxy's upstream file meanwhile; empty: not recorded
  std::vector<std::string> damaged;  // paths that can't be read
  std::vector<std::string> paths;    // everything below meta/

  // The release that serves by record: of the last history entry that ended well.
  const Release* current() const;
  // Highest number ever given, failed ones included.
  int last_number() const;
  // For the next history entry: never that of a record that is there, readable or not.
  int next_entry() const;
  // Whether a run came to its end: by its journal, or by the history, which is written just before.
  bool settled(const plan::Record& record) const;
  bool settled_by_history(const plan::Record& record) const;
  // The newest journal, where its run did not come to an end. Older ones were recovered by the runs that came after them, whatever
  // has become of their entries since.
  const plan::Record* unfinished() const;
};

class ReleaseStore {
 public:
  explicit ReleaseStore(target::StateStore& store) : store_{store} {}

  Snapshot load(const Limits& limits);
  // What the release was made of. Failure{data} where it is gone or can't be read: empty definitions would remove everything.
  Specs load_specs(const Release& release, const Limits& limits);
  // The same where nothing hangs on it (what hides secrets in a text): empty when it can't be had.
  Specs find_specs(int release, const Limits& limits);
  std::optional<std::string> load_blob(const std::string& sha256, const Limits& limits);
  std::optional<std::string> read(const std::string& path, const Limits& limits) { return store_.read(path, limits); }

  static target::StateStore::File file_of(const Release& release);
  static target::StateStore::File file_of(const HistoryEntry& entry);
  static target::StateStore::File file_of(int release, const Specs& specs);
  static target::StateStore::File blob(const std::string& sha256, std::string content);
  // The same once more, with the owner and the mode that a container is to see: what is mounted from there.
  static target::StateStore::File mounted(const FileRef& file, std::string content);
  static target::StateStore::File environment_file(const std::string& name);
  // That file's name alone: the environment whose state it is; empty where none has one, or it can't be read.
  std::string environment(const Limits& limits);
  // Room that is kept so that the end of a run finds a place on a disk that is full by then: written without it, in the same breath.
  static target::StateStore::File spare_room(bool kept);
  void write(const std::vector<target::StateStore::File>& files, const Limits& limits) { store_.write(files, limits); }
  void remove(const std::vector<std::string>& paths, const Limits& limits) { store_.remove(paths, limits); }

  target::StateStore& state() { return store_; }

 private:
  target::StateStore& store_;
};

// What no longer serves anything: releases beside the current one and the newest `keep` others that served, their
// secrets, blobs that no kept release names, journals and evidence of runs older than the newest `keep_runs`.
// History entries stay.
struct Retention {
  std::vector<int> releases;        // to forget
  std::vector<std::string> paths;   // to remove from the state
};
Retention prune_plan(const Snapshot& snapshot, int current, int keep, int keep_runs);

}  // namespace codops::release
