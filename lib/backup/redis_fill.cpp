// Spare databases of Redis: which, taken, filled, counted, and empty again unless they were swapped in.
#include "lib/backup/redis_restore.hpp"

namespace codops::backup {
namespace {

constexpr std::size_t most_pending = 4U << 20U;

}  // namespace

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

Failure somebody_elses(int database) {
  return {Exit::data, fmt::format("somebody else writes into database {} of Redis, which was empty when the restore began to fill it; what is theirs stays there, with keys of the backup among it", database),
          "give each application a database of its own, and restore once more"};
}

void RedisRestore::State::choose(const std::map<int, std::uint64_t>& sizes, const std::set<int>& wanted, const Limits& limits) {
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

bool RedisRestore::State::claim(int database, const Limits& limits) {
  for (const auto& command : std::vector<std::vector<std::string>>{{"MULTI"}, {"SELECT", std::to_string(database)}, {"DBSIZE"}, {"SET", filling_key, filling_text(), "NX"}, {"EXEC"}}) server.connection.send(command);
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
      server.connection.command({"SELECT", std::to_string(database)}, limits);
      server.connection.command({"DEL", filling_key}, limits);
    }
  }
  throw Failure{Exit::locked, "others on this Redis begin to use each database that was empty", "once more, when they are done"};
}

std::uint64_t RedisRestore::State::keys_in(int database, const Limits& limits) {
  server.connection.command({"SELECT", std::to_string(database)}, limits);
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
                                   if (selected != key.database) connection.send({"SELECT", std::to_string(spare)});
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

}  // namespace codops::backup
