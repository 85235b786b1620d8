#include "lib/backup/scratch_folder.hpp"

#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "lib/base/failure.hpp"
#include "lib/io/fd.hpp"
#include "lib/io/files.hpp"
#include "lib/store/process_identity.hpp"

namespace codops::backup {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::json;

constexpr std::string_view prefix = "codops-drill-";
constexpr auto owner_name = "owner.json";

void give_to_server(const fs::path& folder) {
  if (::geteuid() != 0) return;
  const auto* user = ::getpwnam("postgres");
  if (user == nullptr || ::chown(folder.c_str(), user->pw_uid, user->pw_gid) != 0) {
    throw Failure{Exit::unavailable, "no user \"postgres\" to run a server as", "run the drill as another user than root"};
  }
}

// Anybody may make a folder of that name in /tmp: ours has an owner file that we wrote.
bool is_ours(const fs::path& folder) {
  struct stat status {};
  if (::lstat(folder.c_str(), &status) != 0 || !S_ISDIR(status.st_mode) || (status.st_mode & 0077U) != 0) return false;
  return ::lstat((folder / owner_name).c_str(), &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == ::geteuid();
}

// Killed before it had said whose it is: nothing is in it but what the writing of that left. One that is younger may be at it.
void remove_unnamed(const fs::path& folder) {
  constexpr std::chrono::seconds old{3600};
  struct stat status {};
  if (::lstat(folder.c_str(), &status) != 0 || !S_ISDIR(status.st_mode) || status.st_uid != ::geteuid() || (status.st_mode & 0077U) != 0) return;
  if (std::chrono::system_clock::now() - std::chrono::system_clock::from_time_t(status.st_mtime) < old) return;
  if (::lstat((folder / owner_name).c_str(), &status) == 0) return;
  io::remove_unfinished(folder, owner_name);
  // Of a folder that is not empty this removes nothing.
  ::rmdir(folder.c_str());
}

bool is_left(const fs::path& folder) {
  const auto json = Json::parse(io::read_file(folder / owner_name, 4096), nullptr, false);
  if (!json.is_object()) return false;
  const store::ProcessIdentity owner{json.value("boot_id", ""), json.value("pid_namespace", ""), json.value("pid", std::int64_t{}), json.value("start_time", std::uint64_t{})};
  // A process of an earlier boot of this machine is no more; of another machine that shares the folder nothing is known.
  const bool earlier_boot = json.value("host", "") == store::host_name() && owner.boot_id != store::this_process().boot_id;
  return earlier_boot || store::is_gone(owner);
}

bool serves(pid_t pid, const fs::path& data) {
  std::error_code none;
  const auto process = fs::path{"/proc"} / std::to_string(pid);
  // The postmaster works in its data directory.
  return fs::read_symlink(process / "exe", none).filename() == "postgres" && fs::read_symlink(process / "cwd", none) == fs::canonical(data, none);
}

// False: it is still there.
bool end_server(const fs::path& data, const Limits& limits) {
  const auto text = io::read_file_if_there(data / "postmaster.pid", 4096);
  const auto pid = text ? static_cast<pid_t>(std::strtol(text->c_str(), nullptr, 10)) : 0;
  if (pid <= 1) return true;
  // Held before it is looked at: the number can't become another process's in between.
  const io::Fd process{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U))};
  if (!process || !serves(pid, data)) return true;
  for (const int signal : {SIGQUIT, SIGKILL}) {
    ::syscall(SYS_pidfd_send_signal, process.get(), signal, nullptr, 0U);
    pollfd waiting{process.get(), POLLIN, 0};
    for (int tenth = 0; tenth < 50; ++tenth) {
      limits.check("ending the server of a drill that was killed");
      if (::poll(&waiting, 1, 100) > 0) return true;
    }
  }
  return false;
}

}  // namespace

fs::path scratch_parent() {
  const char* configured = std::getenv("TMPDIR");
  return configured != nullptr && *configured == '/' ? configured : "/tmp";
}

ScratchFolder::ScratchFolder() {
  auto pattern = (scratch_parent() / (std::string{prefix} + "XXXXXX")).string();
  if (::mkdtemp(pattern.data()) == nullptr) {
    throw Failure{Exit::failed, fmt::format("cannot create \"{}\": {}", pattern, std::strerror(errno)), "TMPDIR names another folder for temporary files"};
  }
  path_ = pattern;
  try {
    const auto self = store::this_process();
    const Json owner{{"host", store::host_name()}, {"pid", self.pid}, {"start_time", self.start_time}, {"boot_id", self.boot_id}, {"pid_namespace", self.pid_namespace}};
    io::write_file(path_ / owner_name, owner.dump() + "\n");
    give_to_server(path_);
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
    throw;
  }
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  // The owner last: killed in between, the rest is still known to be ours.
  fs::remove_all(data(), ignored);
  fs::remove_all(path_, ignored);
}

void sweep_scratch(const fs::path& parent, const Limits& limits) {
  std::error_code none;
  for (auto at = fs::directory_iterator{parent, none}; !none && at != fs::directory_iterator{}; at.increment(none)) {
    const auto folder = at->path();
    if (!folder.filename().string().starts_with(prefix)) continue;
    limits.check("looking for what killed drills left");
    try {
      remove_unnamed(folder);
      if (!is_ours(folder) || !is_left(folder) || !end_server(folder / "data", limits)) continue;
    } catch (const Failure& failure) {
      if (failure.code() != Exit::failed && failure.code() != Exit::data) throw;
      continue;
    } catch (const nlohmann::json::exception&) {
      continue;
    }
    std::error_code ignored;
    fs::remove_all(folder / "data", ignored);
    if (!ignored) fs::remove_all(folder, ignored);
  }
}

}  // namespace codops::backup
