// What restores look at and mark on a Redis server.
#include <array>

#include "lib/backup/redis_restore.hpp"
#include "lib/store/process_identity.hpp"

namespace codops::backup {
namespace {

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

}  // namespace

std::string filling_text() {
  const auto self = store::this_process();
  return fmt::format("{} {} {} {}", self.pid, self.start_time, self.boot_id, self.pid_namespace);
}

RedisServer::RedisServer(const io::RedisTarget& target, const Limits& limits) : connection{target, limits} {
  info = connection.command({"INFO"}, limits).text;
  const auto asked = connection.ask({"CONFIG", "GET", "databases"}, limits);
  if (!asked.error && asked.items.size() == 2) count = std::atoi(asked.items[1].text.c_str());
  if (value("cluster_enabled") == "1") throw Failure{Exit::data, "Redis is a cluster, whose slots codops does not restore"};
  if (value("role") != "master") throw Failure{Exit::data, "this Redis is a replica", "name its primary in the URL"};
}

std::string RedisServer::value(std::string_view name) const {
  const auto at = info.find("\n" + std::string{name} + ":");
  if (at == std::string::npos) return {};
  const auto start = at + name.size() + 2;
  return info.substr(start, info.find_first_of("\r\n", start) - start);
}

std::map<int, std::uint64_t> RedisServer::sizes(const Limits& limits) {
  std::map<int, std::uint64_t> found;
  for (int database = 0; database < count; ++database) {
    connection.send({"SELECT", std::to_string(database)});
    connection.send({"DBSIZE"});
  }
  const auto answers = connection.answers(limits);
  for (int database = 0; database < count; ++database) {
    found[database] = std::strtoull(answers.at(static_cast<std::size_t>(database) * 2 + 1).text.c_str(), nullptr, 10);
  }
  return found;
}

std::map<int, std::uint64_t> RedisServer::mended(bool while_filled, std::vector<std::string>& done, const Limits& limits) {
  auto found = sizes(limits);
  for (const auto& [database, who] : having(filling_key, found, limits)) {
    if (!filler_is_gone(who)) {
      if (while_filled) continue;
      throw Failure{Exit::locked, fmt::format("another restore fills database {} of Redis", database), "wait for it"};
    }
    connection.command({"SELECT", std::to_string(database)}, limits);
    connection.command({"FLUSHDB", "ASYNC"}, limits);
    found[database] = 0;
    done.push_back(fmt::format("database {} of Redis, which a restore that died was filling, is empty again", database));
  }
  return found;
}

std::map<int, std::string> RedisServer::having(const std::string& key, const std::map<int, std::uint64_t>& in, const Limits& limits) {
  std::map<int, std::string> found;
  for (const auto& [database, size] : in) {
    if (size == 0) continue;
    connection.command({"SELECT", std::to_string(database)}, limits);
    if (auto answer = connection.ask({"GET", key}, limits); !answer.error && !answer.absent) found[database] = answer.text;
  }
  return found;
}

std::optional<std::string> RedisServer::functions(const Limits& limits) {
  auto answer = connection.ask({"FUNCTION", "DUMP"}, limits);
  if (answer.error || answer.absent) return std::nullopt;
  return std::move(answer.text);
}

void RedisServer::transaction(const std::vector<std::vector<std::string>>& commands, const Limits& limits) {
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

std::set<int> not_live(io::RedisConnection& connection, const Limits& limits) {
  std::set<int> found;
  const auto asked = connection.ask({"INFO", "keyspace"}, limits);
  const auto keyspace = asked.error ? std::string{} : asked.text;
  for (std::size_t at = keyspace.find("\ndb"); at != std::string::npos; at = keyspace.find("\ndb", at + 1)) {
    const int database = std::atoi(keyspace.c_str() + at + 3);
    if (connection.ask({"SELECT", std::to_string(database)}, limits).error) continue;
    const auto marked = connection.ask({"EXISTS", filling_key, aside_key, undone_key}, limits);
    if (!marked.error && marked.text != "0") found.insert(database);
  }
  return found;
}

std::optional<int> own_database(const io::RedisTarget& target) { return target.names_database ? std::optional{target.database} : std::nullopt; }

std::set<int> databases_of(const Part& part) {
  std::set<int> all;
  for (const auto& [name, keys] : part.counts) {
    const bool plain = !name.empty() && name.size() < 6 && std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
    if (plain && keys > 0) all.insert(std::atoi(name.c_str()));
  }
  return all;
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

}  // namespace codops::backup
