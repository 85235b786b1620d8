#pragma once
// Redis in a backup: everything that the server holds at one moment, as an RDB; and back, into spare databases that are
// swapped with the live ones.
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/backup/dump.hpp"
#include "lib/backup/rdb.hpp"
#include "lib/io/redis.hpp"

namespace codops::backup {

// Reads the RDB to its end while it passes by. What restores put aside or are filling is left out. The part is durable when this
// returns. Failure{failed}: a restore began meanwhile.
Part take_redis(const io::RedisTarget& target, const Destination& destination, int level, Progress& progress, const Limits& limits);

// The keys of a stored RDB by database. Failure{data} for damage, or other keys than the part says.
void check_redis(io::Reader& reader, const Part& part);

// What a restore does with Redis: a pure decision. `sizes`: keys of the server's databases; `aside`: those that hold what an
// earlier restore replaced; `wanted`: databases of the backup; `own`: the only one that may be replaced. Live database → the empty one to
// fill for it, the highest first. nullopt: there are not enough.
std::optional<std::map<int, int>> spare_databases(int count, const std::map<int, std::uint64_t>& sizes, const std::set<int>& aside,
                                                  const std::set<int>& wanted, std::optional<int> own = {});

class RedisRestore {
 public:
  // Looks only. Failure{data} when the server can't take the part: a replica, a cluster, too few databases, too little memory.
  RedisRestore(const io::RedisTarget& target, const Part& part, const Limits& limits);
  ~RedisRestore();  // empties the spare databases unless they were swapped in
  RedisRestore(const RedisRestore&) = delete;
  RedisRestore& operator=(const RedisRestore&) = delete;

  // Takes databases that are empty now, fills them and counts what is in them. The live ones are not touched.
  void load(io::Reader& rdb, Progress& progress, const Limits& limits);
  // One transaction; what was live is in the spare ones afterwards.
  void swap(const std::string& stamp, const Limits& limits);
  // Back again, of this very object.
  void swap_back(const Limits& limits);
  std::string kept() const;  // "database 15", where what was live is
  // What of the backup is left out, for people: an address that names a database speaks of that one alone. Empty: nothing.
  std::string note() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Empties what restores of dead processes were filling. Returns what was done, for people.
std::vector<std::string> mend_redis(const io::RedisTarget& target, const Limits& limits);

// The stamp of the newest restore that put something aside here; empty: none did.
std::string redis_put_aside(const io::RedisTarget& target, const Limits& limits);
// Swaps what the restore of that stamp put aside back in, functions included.
void undo_redis(const io::RedisTarget& target, const std::string& stamp, const Limits& limits);

}  // namespace codops::backup
