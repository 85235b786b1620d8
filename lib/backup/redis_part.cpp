#include "lib/backup/redis_part.hpp"
#include "lib/backup/swap.hpp"

#include <limits>

#include "lib/base/failure.hpp"
#include "lib/io/channel.hpp"
#include "lib/store/process_identity.hpp"

namespace codops::backup {
namespace {

// Keys of our own in spare databases: who fills it, and of which database it was the content until when.
constexpr const char* filling_key = "codops:restore:filling";
constexpr const char* aside_key = "codops:restore:put-aside";
constexpr const char* undone_key = "codops:restore:undone";
// Beside one of the latter two: the server's functions as they were, as FUNCTION DUMP has them.
constexpr const char* functions_key = "codops:restore:functions";
constexpr std::size_t most_pending = 4U << 20U;

std::string number(int value) { return std::to_string(value); }

std::string filling_text() {
  const auto self = store::this_process();
  return fmt::format("{} {} {} {}", self.pid, self.start_time, self.boot_id, self.pid_namespace);
}

bool filler_is_gone(const std::string& text) {
  store::ProcessIdentity who;
  std::array<std::string, 4> words;
  std::size_t at = 0;
  for (auto& word : words) {
    const auto end = std::min(text.find(' ', at), text.size());
    word = text.substr(at, end - at);
    at = std::min(end + 1, text.size());
  }
  who.pid = std::atoll(words[0].c_str());
  who.start_time = std::strtoull(words[1].c_str(), nullptr, 10);
  who.boot_id = words[2];
  who.pid_namespace = words[3];
  return store::is_gone(who);
}

class RedisServer {
 public:
  RedisServer(const io::RedisTarget& target, const Limits& limits) : connection{target, limits} {
    info = connection.command({"INFO"}, limits).text;
    const auto asked = connection.ask({"CONFIG", "GET", "databases"}, limits);
    if (!asked.error && asked.items.size() == 2) count = std::atoi(asked.items[1].text.c_str());
    if (value("cluster_enabled") == "1") throw Failure{Exit::data, "Redis is a cluster, whose slots codops does not restore"};
    if (value("role") != "master") throw Failure{Exit::data, "this Redis is a replica", "name its primary in the URL"};
  }

  std::string value(std::string_view name) const {
    const auto at = info.find("\n" + std::string{name} + ":");
    if (at == std::string::npos) return {};
    const auto start = at + name.size() + 2;
    return info.substr(start, info.find_first_of("\r\n", start) - start);
  }
  std::uint64_t amount(std::string_view name) const { return std::strtoull(value(name).c_str(), nullptr, 10); }

  std::map<int, std::uint64_t> sizes(const Limits& limits) {
    std::map<int, std::uint64_t> found;
    for (int database = 0; database < count; ++database) {
      connection.send({"SELECT", number(database)});
      connection.send({"DBSIZE"});
    }
    const auto answers = connection.answers(limits);
    for (int database = 0; database < count; ++database) {
      found[database] = std::strtoull(answers.at(static_cast<std::size_t>(database) * 2 + 1).text.c_str(), nullptr, 10);
    }
    return found;
  }
  // The sizes, once what dead restores were filling is emptied. Failure{locked}: one fills at this moment, unless it may.
  std::map<int, std::uint64_t> mended(bool while_filled, std::vector<std::string>& done, const Limits& limits) {
    auto found = sizes(limits);
    for (const auto& [database, who] : having(filling_key, found, limits)) {
      if (!filler_is_gone(who)) {
        if (while_filled) continue;
        throw Failure{Exit::locked, fmt::format("another restore fills database {} of Redis", database), "wait for it"};
      }
      connection.command({"SELECT", number(database)}, limits);
      connection.command({"FLUSHDB", "ASYNC"}, limits);
      found[database] = 0;
      done.push_back(fmt::format("database {} of Redis, which a restore that died was filling, is empty again", database));
    }
    return found;
  }
  std::map<int, std::string> having(const std::string& key, const std::map<int, std::uint64_t>& in, const Limits& limits) {
    std::map<int, std::string> found;
    for (const auto& [database, size] : in) {
      if (size == 0) continue;
      connection.command({"SELECT", number(database)}, limits);
      if (auto answer = connection.ask({"GET", key}, limits); !answer.error && !answer.absent) found[database] = answer.text;
    }
    return found;
  }
  // nullopt: this server has none, or does not tell.
  std::optional<std::string> functions(const Limits& limits) {
    auto answer = connection.ask({"FUNCTION", "DUMP"}, limits);
    if (answer.error || answer.absent) return std::nullopt;
    return std::move(answer.text);
  }
  // All or nothing.
  void transaction(const std::vector<std::vector<std::string>>& commands, const Limits& limits) {
    connection.send({"MULTI"});
    for (const auto& command : commands) connection.send(command);
    connection.send({"EXEC"});
    const auto answers = connection.answers(limits);
    for (const auto& answer : answers) {
      if (answer.error) throw Failure{Exit::failed, "Redis refuses the swap: " + answer.text};
      for (const auto& item : answer.items) {
        if (item.error) throw Failure{Exit::failed, "Redis refuses a part of the swap: " + item.text};
      }
    }
  }

  io::RedisConnection connection;
  std::string info;
  int count{16};
};

// Of several environments on one server each has its own: an address that names one speaks of no other. nullopt: all are meant.
std::optional<int> own_database(const io::RedisTarget& target) { return target.names_database ? std::optional{target.database} : std::nullopt; }

// `what`: the content of aside_key, "STAMP DATABASE".
bool is_own(const io::RedisTarget& target, const std::string& what) {
  const auto own = own_database(target);
  return !own || what.substr(what.find(' ') + 1) == std::to_string(*own);
}

std::set<int> databases_of(const Part& part) {
  std::set<int> all;
  for (const auto& [name, keys] : part.counts) {
    const bool plain = !name.empty() && name.size() < 6 && std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
    if (plain && keys > 0) all.insert(std::atoi(name.c_str()));
  }
  return all;
}

}  // namespace

namespace {

// The databases that hold what a restore put aside or is filling: by their marks.
std::set<int> not_live(io::RedisConnection& connection, const Limits& limits) {
  std::set<int> found;
  const auto asked = connection.ask({"INFO", "keyspace"}, limits);
  const auto keyspace = asked.error ? std::string{} : asked.text;
  for (std::size_t at = keyspace.find("\ndb"); at != std::string::npos; at = keyspace.find("\ndb", at + 1)) {
    const int database = std::atoi(keyspace.c_str() + at + 3);
    if (connection.ask({"SELECT", number(database)}, limits).error) continue;
    const auto marked = connection.ask({"EXISTS", filling_key, aside_key, undone_key}, limits);
    if (!marked.error && marked.text != "0") found.insert(database);
  }
  return found;
}

}  // namespace

Part take_redis(const io::RedisTarget& target, const Destination& destination, int level, Progress& progress, const Limits& limits) {
  progress.at("Redis");
  Part part;
  part.name = "redis.rdb";
  part.kind = "redis";
  PartWriter writer{destination.store, destination.folder, std::move(part), {level, 0, true}, destination.keys, limits};
  io::RedisConnection connection{target, limits};
  RdbSummary summary;
  const RdbCopy copy{writer, not_live(connection, limits)};
  const RdbEvents events{[](const RdbKey& key, std::string_view) {
                           if (key.key != filling_key && key.key != aside_key && key.key != undone_key) return;
                           throw Failure{Exit::failed, fmt::format("a restore began to use database {} of Redis while it was backed up", key.database), "once more, when it is done"};
                         },
                         {}};
  io::stream_between(
      [&](io::Writer& passing) {
        connection.snapshot(
            [&](std::string_view bytes) {
              if (copy.without.empty()) writer.write(bytes);
              passing.write(bytes);
              progress.advance(bytes.size());
            },
            limits);
      },
      [&](io::Reader& passing) { summary = read_rdb(passing, events, false, copy.without.empty() ? nullptr : &copy); });
  auto& about = writer.part();
  for (const auto& [database, keys] : summary.keys) about.counts[number(database)] = keys;
  for (const auto* name : {"redis-ver", "used-mem"}) {
    if (const auto found = summary.about.find(name); found != summary.about.end()) about.about[name] = found->second;
  }
  about.about["rdb-version"] = number(summary.version);
  writer.finish();
  return writer.commit();
}

void check_redis(io::Reader& reader, const Part& part) {
  const auto summary = read_rdb(reader, {}, false);
  std::map<std::string, std::uint64_t> found;
  for (const auto& [database, keys] : summary.keys) found[number(database)] = keys;
  if (found != part.counts) throw Failure{Exit::data, "other keys than the manifest says"};
}

std::optional<std::map<int, int>> spare_databases(int count, const std::map<int, std::uint64_t>& sizes, const std::set<int>& aside,
                                                  const std::set<int>& wanted, std::optional<int> own) {
  std::set<int> replaced = wanted;
  for (const auto& [database, size] : sizes) {
    if (size > 0 && !aside.contains(database)) replaced.insert(database);
  }
  if (own) std::erase_if(replaced, [&](int database) { return database != *own; });
  std::map<int, int> spare;
  int next = count - 1;
  for (const int database : replaced) {
    if (database >= count) return std::nullopt;
    const auto taken = [&](int candidate) {
      const auto size = sizes.find(candidate);
      return (size != sizes.end() && size->second > 0) || replaced.contains(candidate);
    };
    while (next >= 0 && taken(next)) --next;
    if (next < 0) return std::nullopt;
    spare[database] = next--;
  }
  return spare;
}

namespace {

Failure somebody_elses(int database) {
  return {Exit::data, fmt::format("somebody else writes into database {} of Redis, which was empty when the restore began to fill it; what is theirs stays there, with keys of the backup among it", database),
          "give each application a database of its own, and restore once more"};
}

}  // namespace

struct RedisRestore::State {
  RedisServer server;
  Part part;
  std::optional<int> own;
  std::map<int, int> spare;
  std::map<int, std::uint64_t> put;  // by spare database that is ours: keys, the mark left aside
  std::vector<std::string> functions;
  std::optional<std::string> functions_before;
  bool swapped{};

  void choose(std::map<int, std::uint64_t> sizes, const std::set<int>& wanted, const Limits& limits);
  bool claim(int database, const Limits& limits);
  void claim_all(const std::set<int>& wanted, const Limits& limits);
  std::uint64_t keys_in(int database, const Limits& limits);
};

void RedisRestore::State::choose(std::map<int, std::uint64_t> sizes, const std::set<int>& wanted, const Limits& limits) {
  std::set<int> aside;
  for (const auto* key : {aside_key, undone_key}) {
    for (const auto& [database, when] : server.having(key, sizes, limits)) aside.insert(database);
  }
  const auto found = spare_databases(server.count, sizes, aside, wanted, own);
  if (!found) {
    const auto kept = aside.empty() ? std::string{} : fmt::format("; {} hold what earlier restores replaced", fmt::join(aside, ", "));
    throw Failure{Exit::data, fmt::format("Redis has {} databases, too few empty ones to restore into{}", server.count, kept),
                  aside.empty() ? "databases 32 in redis.conf" : fmt::format("redis-cli -n {} FLUSHDB, once it is not needed", *aside.begin())};
  }
  spare = *found;
}

// Marked in the same moment in which it is empty: others on the server may begin to use what was empty before. False: somebody has.
bool RedisRestore::State::claim(int database, const Limits& limits) {
  for (const auto& command : std::vector<std::vector<std::string>>{{"MULTI"}, {"SELECT", number(database)}, {"DBSIZE"}, {"SET", filling_key, filling_text(), "NX"}, {"EXEC"}}) server.connection.send(command);
  const auto answers = server.connection.answers(limits);
  const auto& done = answers.back();
  if (done.error || done.items.size() != 3 || done.items[1].error || done.items[2].error) throw Failure{Exit::failed, "Redis refuses a mark in a spare database: " + done.text};
  if (done.items[1].text == "0") {
    put[database] = 0;
    return true;
  }
  if (!done.items[2].absent) server.connection.command({"DEL", filling_key}, limits);
  return false;
}

void RedisRestore::State::claim_all(const std::set<int>& wanted, const Limits& limits) {
  constexpr int most_attempts = 20;
  for (int attempt = 0; attempt < most_attempts; ++attempt) {
    std::vector<std::string> done;
    // What another environment's restore fills is none of ours, if ours is one database.
    choose(server.mended(own.has_value(), done, limits), wanted, limits);
    const bool all = std::all_of(spare.begin(), spare.end(), [&](const auto& one) { return claim(one.second, limits); });
    if (all) return;
    for (const auto& [database, keys] : std::exchange(put, {})) {
      server.connection.command({"SELECT", number(database)}, limits);
      server.connection.command({"DEL", filling_key}, limits);
    }
  }
  throw Failure{Exit::locked, "others on this Redis begin to use each database that was empty", "once more, when they are done"};
}

// Without our mark.
std::uint64_t RedisRestore::State::keys_in(int database, const Limits& limits) {
  server.connection.command({"SELECT", number(database)}, limits);
  const auto counted = std::strtoull(server.connection.command({"DBSIZE"}, limits).text.c_str(), nullptr, 10);
  return counted - std::min<std::uint64_t>(counted, 1);
}

RedisRestore::RedisRestore(const io::RedisTarget& target, const Part& part, const Limits& limits)
    : state_{new State{{target, limits}, part, own_database(target), {}, {}, {}, {}}} {
  auto& state = *state_;
  auto& server = state.server;
  std::vector<std::string> done;
  state.choose(server.mended(false, done, limits), databases_of(part), limits);
  const auto most = server.amount("maxmemory"), used = server.amount("used_memory");
  const auto named = part.about.find("used-mem");
  const auto needed = std::max<std::uint64_t>(part.plain_size, named == part.about.end() ? 0 : std::strtoull(named->second.c_str(), nullptr, 10));
  if (most > 0 && used + needed > most) {
    throw Failure{Exit::data, fmt::format("Redis may use {} bytes and uses {}: what is restored beside it needs about {} more", most, used, needed),
                  "CONFIG SET maxmemory, at least until the old content is dropped"};
  }
}

RedisRestore::~RedisRestore() {
  if (state_->swapped) return;
  const auto limits = Limits{}.within(Milliseconds{10'000});
  for (const auto& [database, keys] : state_->put) {
    try {
      // With keys in it that are not ours it is somebody's by now: nothing but our mark is taken away.
      const bool others = state_->keys_in(database, limits) > keys;
      if (others) state_->server.connection.command({"DEL", filling_key}, limits);
      else state_->server.connection.command({"FLUSHDB", "ASYNC"}, limits);
    } catch (const std::exception&) {
      // The next restore empties what has the mark of a process that is gone.
    }
  }
}

void RedisRestore::load(io::Reader& rdb, Progress& progress, const Limits& limits) {
  progress.at("Redis");
  auto& state = *state_;
  auto& connection = state.server.connection;
  state.claim_all(databases_of(state.part), limits);
  std::optional<int> selected;
  std::size_t pending = 0;
  const auto collect = [&] {
    for (const auto& answer : connection.answers(limits)) {
      if (!answer.error) continue;
      const bool version = answer.text.find("payload version") != std::string::npos;
      const auto of = state.part.about.find("redis-ver");
      throw Failure{Exit::failed, "Redis does not take a key: " + answer.text,
                    version && of != state.part.about.end() ? fmt::format("the backup is of Redis {}, the server is {}: restore into {} or newer", of->second, state.server.value("redis_version"), of->second) : ""};
    }
    pending = 0;
  };
  const auto summary = read_rdb(rdb,
                                {[&](const RdbKey& key, std::string_view payload) {
                                   if (!state.spare.contains(key.database)) return;
                                   const int spare = state.spare.at(key.database);
                                   if (selected != key.database) connection.send({"SELECT", number(spare)});
                                   selected = key.database;
                                   ++state.put[spare];
                                   // With REPLACE and a time that has passed the key is not made: as Redis itself loads it.
                                   connection.send({"RESTORE", key.key, std::to_string(key.expires.value_or(0)), std::string{payload}, "REPLACE", "ABSTTL"});
                                   pending += payload.size() + key.key.size();
                                   if (pending > most_pending || connection.unanswered() > 2000) collect();
                                   progress.advance(payload.size());
                                 },
                                 [&](std::string_view code) {
                                   if (!state.own) state.functions.emplace_back(code);  // they are the whole server's
                                 }},
                                true);
  collect();
  // Neither the backup nor the server has a key: what is put aside are the functions alone.
  if (!state.functions.empty() && state.spare.empty()) state.claim_all({0}, limits);
  for (const auto& [live, spare] : state.spare) {
    // Its mark stays until the swap: killed before, nobody may take it for live data.
    const auto there = state.keys_in(spare, limits);
    const auto keys = summary.keys.find(live), lasting = summary.lasting.find(live);
    const auto most = keys == summary.keys.end() ? 0 : keys->second, least = lasting == summary.lasting.end() ? 0 : lasting->second;
    if (there > most) throw somebody_elses(spare);
    if (there < least) throw Failure{Exit::data, fmt::format("database {} of Redis has {} keys instead of {}", live, there, most)};
  }
}

void RedisRestore::swap(const std::string& stamp, const Limits& limits) {
  auto& state = *state_;
  for (const auto& [live, spare] : state.spare) {
    if (state.keys_in(spare, limits) > state.put.at(spare)) throw somebody_elses(spare);
  }
  if (!state.functions.empty()) state.functions_before = state.server.functions(limits);
  std::vector<std::vector<std::string>> commands;
  for (const auto& [live, spare] : state.spare) {
    commands.push_back({"SELECT", number(spare)});
    commands.push_back({"DEL", filling_key});
    commands.push_back({"SWAPDB", number(live), number(spare)});
    commands.push_back({"SET", aside_key, fmt::format("{} {}", stamp, live)});
  }
  // In the last of those.
  if (state.functions_before && !state.spare.empty()) commands.push_back({"SET", functions_key, *state.functions_before});
  for (const auto& code : state.functions) commands.push_back({"FUNCTION", "LOAD", "REPLACE", code});
  state.server.transaction(commands, limits);
  state.swapped = true;
}

void RedisRestore::swap_back(const Limits& limits) {
  auto& state = *state_;
  if (!state.swapped) return;
  std::vector<std::vector<std::string>> commands;
  for (const auto& [live, spare] : state.spare) {
    commands.push_back({"SELECT", number(spare)});
    commands.push_back({"DEL", aside_key, functions_key});
    commands.push_back({"SWAPDB", number(live), number(spare)});
  }
  if (state.functions_before) commands.push_back({"FUNCTION", "RESTORE", *state.functions_before, "FLUSH"});
  state.server.transaction(commands, limits);
  state.swapped = false;
  // Whatever was written meanwhile was written to what goes now.
  for (auto& [database, keys] : state.put) keys = std::numeric_limits<std::uint64_t>::max();
}

std::string RedisRestore::kept() const {
  std::string text;
  for (const auto& [live, spare] : state_->spare) text += fmt::format("{}{}", text.empty() ? "database " : ", ", spare);
  return text;
}

std::string RedisRestore::note() const {
  if (!state_->own) return {};
  auto others = databases_of(state_->part);
  others.erase(*state_->own);
  if (others.empty()) return {};
  return fmt::format("Redis: the address names database {}; what the backup has of {} stays as it is on the server", *state_->own, fmt::join(others, ", "));
}

std::vector<std::string> mend_redis(const io::RedisTarget& target, const Limits& limits) {
  std::vector<std::string> done;
  io::RedisConnection looking{target, limits};
  // Replicas and clusters are backed up too, and nothing is ever restored into them.
  if (not_live(looking, limits).empty()) return done;
  RedisServer server{target, limits};
  server.mended(true, done, limits);
  return done;
}

std::string redis_put_aside(const io::RedisTarget& target, const Limits& limits) {
  RedisServer server{target, limits};
  std::string newest;
  for (const auto& [database, what] : server.having(aside_key, server.sizes(limits), limits)) {
    auto stamp = what.substr(0, what.find(' '));
    if (!is_own(target, what)) continue;
    if (is_stamp(stamp)) newest = std::max(newest, std::move(stamp));
  }
  return newest;
}

void undo_redis(const io::RedisTarget& target, const std::string& stamp, const Limits& limits) {
  RedisServer server{target, limits};
  std::vector<std::vector<std::string>> commands;
  for (const auto& [database, what] : server.having(aside_key, server.sizes(limits), limits)) {
    const auto space = what.find(' ');
    if (what.substr(0, space) != stamp || space == std::string::npos || !is_own(target, what)) continue;
    server.connection.command({"SELECT", number(database)}, limits);
    const auto functions = server.connection.ask({"GET", functions_key}, limits);
    commands.push_back({"SELECT", number(database)});
    commands.push_back({"DEL", aside_key, functions_key});
    commands.push_back({"SWAPDB", what.substr(space + 1), number(database)});
    // Not to be swapped in once more.
    commands.push_back({"SET", undone_key, stamp});
    if (functions.error || functions.absent) continue;
    if (const auto now = server.functions(limits)) commands.push_back({"SET", functions_key, *now});
    commands.push_back({"FUNCTION", "RESTORE", functions.text, "FLUSH"});
  }
  if (!commands.empty()) server.transaction(commands, limits);
}

}  // namespace codops::backup
