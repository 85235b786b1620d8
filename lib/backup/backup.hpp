#pragma once
// A backup from beginning to end. `deploy` calls take() before it migrates: what it returns is published and verified;
// a Failure means that nothing was published and that every earlier backup is as it was, unless it says that only pruning failed.
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/backup/catalogue.hpp"
#include "lib/backup/dump.hpp"
#include "lib/backup/files_part.hpp"
#include "lib/backup/programs.hpp"
#include "lib/backup/retention.hpp"
#include "lib/base/reporter.hpp"
#include "lib/io/redis_probe.hpp"

namespace codops::backup {

// What is backed up, and how it is reached.
struct Subject {
  std::string environment;
  io::postgres::Target database;
  std::optional<ContainerPlace> container;  // of the database, for its own pg_dump
  std::optional<io::RedisTarget> redis{};   // taken along
  std::vector<FilesPlace> files{};          // the same
  std::string options{};                    // what a printed command must say again to mean this: " --store /backups"
};

struct Options {
  DumpOptions dump;
  std::string tag;               // --label
  bool safety{};                 // of what a restore replaces
  std::optional<Policy> prune;   // applied after publication; nullopt: nothing is pruned
};

struct Taken {
  Manifest manifest;
  Milliseconds took{};
  std::vector<std::string> pruned;  // labels
};

// Waits for no other backup: Failure{locked} while one runs. Everything that was stored is read back before publication.
Taken take(Catalogue& catalogue, const Subject& subject, const Options& options, const Keyring& keys,
           const Clock& clock, Reporter& reporter, const Limits& limits);

struct Pruning {
  std::vector<Verdict> verdicts;
  std::vector<std::string> removed;
  std::vector<Broken> unreadable;  // counted by no rule, removed by none
};
// Which database is this environment's; nullopt: it can't be asked.
using AskOrigin = std::function<std::optional<DatabaseIdentity>()>;
AskOrigin origin_of(io::postgres::Target database, const Limits& limits);
// Removes what the policy does not keep, oldest first, and what killed runs left. With `dry_run` only says so. Backups of another
// database in the same folder are counted by no rule and stay; all do when there are several databases' and none can be asked. It is
// asked only where its answer can keep something: a list of backups is wanted most while the database's machine is away.
Pruning prune(Catalogue& catalogue, const Policy& policy, WallTime now, bool dry_run, const Limits& limits, const AskOrigin& own = {});

}  // namespace codops::backup
