#include "lib/scaffold/dev/local_redis.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>

#include "lib/base/failure.hpp"
#include "lib/io/crypto.hpp"
#include "lib/io/files.hpp"
#include "lib/io/process.hpp"
#include "lib/io/process_detached.hpp"
#include "lib/scaffold/dev/tools.hpp"

namespace codops::scaffold::dev {
namespace {

namespace fs = std::filesystem;

// A quoted word of redis.conf: every byte in hexadecimal, so that none means anything.
std::string quoted(std::string_view prefix, std::string_view text) {
  std::string out{'"'};
  for (const char c : fmt::format("{}{}", prefix, text)) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  return out + '"';
}

std::string server_program() { return io::find_program("redis-server") ? "redis-server" : "valkey-server"; }

}  // namespace

std::string RedisAccount::fingerprint() const {
  return fmt::format("{} {}", port, io::sha256_hex(fmt::format("{}\n{}\n{}", user, password.reveal(), database)).substr(0, 16));
}

std::string redis_configuration(const RedisAccount& account) {
  auto text = fmt::format("bind 127.0.0.1 -::1\nport {}\ndir ./\npidfile redis.pid\nlogfile \"\"\nsave 60 1\ndatabases {}\nprotected-mode yes\n",
                          account.port, std::max(16, account.database + 1));
  if (account.password.empty()) return text;
  if (account.user.empty() || account.user == "default") return text + fmt::format("requirepass {}\n", quoted("", account.password.reveal()));
  return text + fmt::format("user {} on {} ~* &* +@all\nuser default off\n", account.user, quoted(">", account.password.reveal()));
}

std::uint64_t keys_in_redis_info(std::string_view info) {
  // "db0:keys=12,expires=0,…", one line for each database that has any.
  std::uint64_t all = 0;
  constexpr std::string_view word{":keys="};
  for (auto at = info.find(word); at != std::string_view::npos; at = info.find(word, at + 1)) {
    std::uint64_t keys = 0;
    std::from_chars(info.data() + at + word.size(), info.data() + info.size(), keys);
    all += keys;
  }
  return all;
}

LocalRedis::LocalRedis(const fs::path& project) : project_{project}, folder_{servers_folder(project) / "redis"}, log_{dev_folder(project) / "redis.log"} {}

std::string LocalRedis::trouble(std::string& hint) const {
  if (!io::find_program(server_program())) {
    hint = package_hint({"redis"}) + ", or use an engine: --backend docker";
    return "Redis' server is not installed here";
  }
  if (auto elsewhere = data_elsewhere(project_, "redis", "dump.rdb", hint); !elsewhere.empty()) return elsewhere;
  try {
    const auto who = run_as("redis");
    std::error_code error;
    for (const auto& path : {folder_, folder_ / "dump.rdb"}) {
      if (path == folder_ && !fs::is_symlink(fs::symlink_status(path, error))) continue;
      if (auto why = unusable_data(path, who, hint); !why.empty()) return why;
    }
  } catch (const Failure& failure) {
    hint = failure.hint();
    return failure.message();
  }
  return {};
}

bool LocalRedis::has_data() const { return fs::exists(folder_ / "dump.rdb"); }

std::optional<ServerProcess> LocalRedis::process() const { return ServerProcess::find(folder_ / "redis.pid", folder_, server_program()); }

pid_t LocalRedis::start(const RedisAccount& account, const Limits&) {
  std::string hint;
  if (auto why = trouble(hint); !why.empty()) throw Failure{Exit::unavailable, std::move(why), hint};
  if (account.user.find_first_of(" \t\r\n\"'") != std::string::npos) throw Failure{Exit::config, "the user in REDIS_URL has a space or quote in it"};
  const auto who = run_as("redis");
  make_servers_folder(project_);
  make_server_folder(folder_, who);
  const auto log = open_log(log_);
  const auto configuration = io::memory_file(redis_configuration(account));
  return io::start_detached({argv_as(who, {server_program(), "-"}, false), io::usual_environment(), {}, folder_}, configuration.get(), log.get());
}

void LocalRedis::end_failed(pid_t pid, const Limits& limits) const {
  const auto running = ServerProcess::of(pid, folder_, server_program());
  if (!running) return;
  running->signal(SIGTERM);
  running->wait_ended(limits.within(Milliseconds{10'000}));
}

void LocalRedis::stop(const Limits& limits) {
  const auto running = process();
  if (!running) return;
  running->signal(SIGTERM);
  if (!running->wait_ended(limits.within(Milliseconds{20'000}))) {
    throw Failure{Exit::failed, fmt::format("Redis (pid {}) does not end", running->pid()), "codops dev logs redis"};
  }
}

void LocalRedis::remove() {
  if (process()) throw Failure{Exit::bug, "Redis still runs"};
  std::error_code error;
  fs::remove_all(folder_, error);
  if (error) throw Failure{Exit::failed, fmt::format("cannot remove \"{}\": {}", folder_.string(), error.message())};
}

}  // namespace codops::scaffold::dev
