#pragma once
// What PostgreSQL and Redis of the host's packages have in common here: a private folder, a user to run as, and a process
// that is found again and stopped without ever meeting another one.
#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/cancel.hpp"
#include "lib/io/fd.hpp"
#include "lib/scaffold/dev/ledger.hpp"

namespace codops::scaffold::dev {

// Whom a server runs as. As root: a user of that name; else ourselves.
struct RunAs {
  std::string user;  // empty: ourselves
  uid_t uid{};
  gid_t gid{};
};
// Throws Failure{unavailable} when root misses that user.
RunAs run_as(const std::string& user);
// With `dies_with_us`, for what must not outlive this process.
std::vector<std::string> argv_as(const RunAs& who, std::vector<std::string> argv, bool dies_with_us);

// Where the servers' folders are: `.codops/dev`, or, as root in a checkout that other users can't enter,
// /var/lib/codops/dev/NAME-HASH (of the checkout's path). Makes nothing.
std::filesystem::path servers_folder(const std::filesystem::path& project);
// As root there are two such places, and what decides (may others enter?) can change; the second goes by the checkout's path, which can
// change too. Not empty: the place chosen now has no `proof` ("data/PG_VERSION") of `server`'s data, and another one has; `hint` is the
// way out.
std::string data_elsewhere(const std::filesystem::path& project, const std::string& server, const std::string& proof, std::string& hint);
void make_servers_folder(const std::filesystem::path& project);
// Makes a server's own folder, mode 0700, its user's.
void make_server_folder(const std::filesystem::path& folder, const RunAs& who);

// A link in the place of a server's data: what is removed, given away or started there would be somebody else's. Empty: it is none.
std::string linked_data(const std::filesystem::path& data, std::string& hint);
// A server would not even start on these: a checkout was copied without owners or modes. Empty: they are as they must be.
std::string unusable_data(const std::filesystem::path& data, const RunAs& who, std::string& hint);

// A process that was found by its pid file and is still what wrote it: it works in `folder` and is called `name`. A pid that
// was used again has another folder. Held by a descriptor, so that a signal can't reach a successor.
class ServerProcess {
 public:
  // nullopt: no such process, or another one.
  static std::optional<ServerProcess> of(pid_t pid, const std::filesystem::path& folder, const std::string& name);
  // Does `pid_file` name a process that lives, and that works somewhere else: is its number somebody else's by now?
  static bool is_used_again(const std::filesystem::path& pid_file, const std::filesystem::path& folder);
  // The first line of `pid_file`.
  static std::optional<ServerProcess> find(const std::filesystem::path& pid_file, const std::filesystem::path& folder, const std::string& name);

  // Whatever it is: who asks looks at it once it is held.
  static std::optional<ServerProcess> held(pid_t pid);

  pid_t pid() const noexcept { return pid_; }
  bool ended() const;
  bool signal(int number) const;
  // False: the deadline came first.
  bool wait_ended(const Limits& limits) const;
  std::optional<Milliseconds> uptime() const;

 private:
  ServerProcess(pid_t pid, io::Fd pidfd) : pid_{pid}, pidfd_{std::move(pidfd)} {}
  pid_t pid_;
  io::Fd pidfd_;
};

// Opened for appending; cut when it has grown beyond 4 MiB.
io::Fd open_log(const std::filesystem::path& path);
std::vector<std::string> last_lines(const std::filesystem::path& path, std::size_t count);

}  // namespace codops::scaffold::dev
