#pragma once
// A PostgreSQL of the host's packages, private to a checkout: data in FOLDER/postgres/data, TCP on loopback only, no Unix
// socket, scram for everybody. Its superuser "codops_admin" has a password that is kept in `.codops/dev/postgres.secret` (0600).
#include <filesystem>
#include <optional>
#include <string>

#include "lib/io/postgres.hpp"
#include "lib/scaffold/dev/local_server.hpp"

namespace codops::scaffold::dev {

class LocalPostgres {
 public:
  static constexpr const char* superuser = "codops_admin";

  explicit LocalPostgres(const std::filesystem::path& project);

  // The folder with the server's programs: of the data's own major when there is data, else the newest. nullopt: not installed.
  std::optional<std::filesystem::path> programs() const;
  // Why it can't run here, with what to install; empty: it can.
  std::string trouble(std::string& hint) const;
  bool has_data() const;
  std::string major() const;  // "15"; empty: no data yet

  std::optional<ServerProcess> process() const;
  std::uint16_t port_in_use() const;  // of the process that runs; 0: none
  // Written down: which folder it is that the server has open, so that a copy of it is told from it. Nothing, when none runs.
  void note_place() const;
  // initdb when there is no data, then starts. Returns at once: wait with ready(). Throws Failure{failed} with the log's last lines.
  void start(std::uint16_t port, const Limits& limits);
  // Fast shutdown: sessions end, nothing is lost. Throws Failure{failed} when it does not end.
  void stop(const Limits& limits) const;
  // Removes the data. It must not run.
  void remove();

  // The superuser, in the database "postgres".
  io::postgres::Target admin(std::uint16_t port) const;
  // Waits until it answers over TCP, twice; throws Failure{failed} with its last lines as soon as it has ended.
  // A server that was started while somebody else had taken 127.0.0.1 is stopped, and they are named.
  void wait_ready(std::uint16_t port, const Limits& limits) const;

  // Does it have the address that is in the URLs?
  bool listens_at(std::uint16_t port) const;

  const std::filesystem::path& data() const { return data_; }
  const std::filesystem::path& folder() const { return folder_; }
  const std::filesystem::path& log() const { return log_; }

 private:
  bool start_ended() const;
  bool is_ready() const;
  std::string copied_from_running(std::string& hint) const;
  void initialise(const std::filesystem::path& programs, const Limits& limits);
  Secret superuser_password() const;
  std::filesystem::path project_, folder_, data_, log_, secret_, place_;
  // What start() has started, which may end before it can be found by its pid file.
  struct Started {
    io::Fd pidfd;  // none: it had ended already
  };
  std::optional<Started> started_;
};

}  // namespace codops::scaffold::dev
