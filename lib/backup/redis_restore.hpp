#pragma once
// Redis while a restore has something beside what is live: marks in databases, and the restore itself. Only for sources of lib/backup.
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lib/backup/redis_part.hpp"
#include "lib/base/failure.hpp"

namespace codops::backup {

// Keys of our own in spare databases: who fills it, and of which database it was the content until when.
inline constexpr auto filling_key = "codops:restore:filling";
inline constexpr auto aside_key = "codops:restore:put-aside";
inline constexpr auto undone_key = "codops:restore:undone";
// Beside one of the latter two: the server's functions as they were, as FUNCTION DUMP has them.
inline constexpr auto functions_key = "codops:restore:functions";

class RedisServer {
 public:
  // Failure{data}: a cluster or a replica.
  RedisServer(const io::RedisTarget& target, const Limits& limits);

  // Of INFO; empty: it does not say.
  std::string value(std::string_view name) const;
  std::uint64_t amount(std::string_view name) const { return std::strtoull(value(name).c_str(), nullptr, 10); }

  // Keys of each database.
  std::map<int, std::uint64_t> sizes(const Limits& limits);
  // The sizes, once what dead restores were filling is emptied. Failure{locked}: one fills at this moment, unless it may.
  std::map<int, std::uint64_t> mended(bool while_filled, std::vector<std::string>& done, const Limits& limits);
  // What that key says, by the databases that have it.
  std::map<int, std::string> having(const std::string& key, const std::map<int, std::uint64_t>& in, const Limits& limits);
  // nullopt: this server has none, or does not tell.
  std::optional<std::string> functions(const Limits& limits);
  // All or nothing.
  void transaction(const std::vector<std::vector<std::string>>& commands, const Limits& limits);

  io::RedisConnection connection;
  std::string info;
  int count{16};
};

// The databases that hold what a restore put aside or is filling: by their marks.
std::set<int> not_live(io::RedisConnection& connection, const Limits& limits);
// What filling_key says of this process.
std::string filling_text();
// Of several environments on one server each has its own: an address that names one speaks of no other. nullopt: all are meant.
std::optional<int> own_database(const io::RedisTarget& target);
// Those of which the part has keys.
std::set<int> databases_of(const Part& part);
// Somebody else has keys in what is being filled: told, and left there.
Failure somebody_elses(int database);

struct RedisRestore::State {
  RedisServer server;
  Part part;
  std::optional<int> own;
  std::map<int, int> spare;
  std::map<int, std::uint64_t> put;  // by spare database that is ours: keys, the mark left aside
  std::vector<std::string> functions;
  std::optional<std::string> functions_before;
  bool swapped{};

  // Which databases are to be filled, without taking them. Failure{data}: too few are empty.
  void choose(const std::map<int, std::uint64_t>& sizes, const std::set<int>& wanted, const Limits& limits);
  // Marked in the same moment in which it is empty: others on the server may begin to use what was empty before. False: somebody has.
  bool claim(int database, const Limits& limits);
  void claim_all(const std::set<int>& wanted, const Limits& limits);
  // Without our mark.
  std::uint64_t keys_in(int database, const Limits& limits);
};

}  // namespace codops::backup
