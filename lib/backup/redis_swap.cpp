// What was filled changes places with what is live, and back.
#include <limits>

#include "lib/backup/redis_restore.hpp"
#include "lib/backup/swap.hpp"

namespace codops::backup {
namespace {

// `what`: the content of aside_key, "STAMP DATABASE".
bool is_own(const io::RedisTarget& target, const std::string& what) {
  const auto own = own_database(target);
  return !own || what.substr(what.find(' ') + 1) == std::to_string(*own);
}

}  // namespace

void RedisRestore::swap(const std::string& stamp, const Limits& limits) {
  auto& state = *state_;
  for (const auto& [live, spare] : state.spare) {
    if (state.keys_in(spare, limits) > state.put.at(spare)) throw somebody_elses(spare);
  }
  if (!state.functions.empty()) state.functions_before = state.server.functions(limits);
  std::vector<std::vector<std::string>> commands;
  for (const auto& [live, spare] : state.spare) {
    commands.push_back({"SELECT", std::to_string(spare)});
    commands.push_back({"DEL", filling_key});
    commands.push_back({"SWAPDB", std::to_string(live), std::to_string(spare)});
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
    commands.push_back({"SELECT", std::to_string(spare)});
    commands.push_back({"DEL", aside_key, functions_key});
    commands.push_back({"SWAPDB", std::to_string(live), std::to_string(spare)});
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
    server.connection.command({"SELECT", std::to_string(database)}, limits);
    const auto functions = server.connection.ask({"GET", functions_key}, limits);
    commands.push_back({"SELECT", std::to_string(database)});
    commands.push_back({"DEL", aside_key, functions_key});
    commands.push_back({"SWAPDB", what.substr(space + 1), std::to_string(database)});
    // Not to be swapped in once more.
    commands.push_back({"SET", undone_key, stamp});
    if (functions.error || functions.absent) continue;
    if (const auto now = server.functions(limits)) commands.push_back({"SET", functions_key, *now});
    commands.push_back({"FUNCTION", "RESTORE", functions.text, "FLUSH"});
  }
  if (!commands.empty()) server.transaction(commands, limits);
}

}  // namespace codops::backup
