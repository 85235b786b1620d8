#pragma once
// A Redis of the host's packages, private to a checkout: FOLDER/redis, loopback only. Its configuration, the password in it,
// goes through its standard input: neither argv nor a file has it.
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/secret.hpp"
#include "lib/scaffold/dev/local_server.hpp"

namespace codops::scaffold::dev {

struct RedisAccount {
  std::uint16_t port{};
  std::string user;  // empty: the default one
  Secret password;   // empty: none is asked
  int database{};

  // Tells one configuration from another without showing it.
  std::string fingerprint() const;
};

// Pure: what redis-server reads.
std::string redis_configuration(const RedisAccount& account);

// Pure: the keys of all databases, of what INFO answers.
std::uint64_t keys_in_redis_info(std::string_view info);

class LocalRedis {
 public:
  explicit LocalRedis(const std::filesystem::path& project);

  std::string trouble(std::string& hint) const;
  bool has_data() const;
  std::optional<ServerProcess> process() const;
  // Returns its pid. Wait until it answers; end_failed() ends one that never wrote its pid file.
  pid_t start(const RedisAccount& account, const Limits& limits);
  void end_failed(pid_t pid, const Limits& limits) const;
  void stop(const Limits& limits);  // saves first
  void remove();

  const std::filesystem::path& folder() const { return folder_; }
  const std::filesystem::path& log() const { return log_; }

 private:
  std::filesystem::path project_, folder_, log_;
};

}  // namespace codops::scaffold::dev
