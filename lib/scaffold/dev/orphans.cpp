#include "lib/scaffold/dev/orphans.hpp"

#include <dirent.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <charconv>

#include "lib/base/failure.hpp"
#include "lib/io/files.hpp"

namespace codops::scaffold::dev {
namespace {

namespace fs = std::filesystem;

struct Kind {
  const char *comm, *name, *user;
  fs::path folder;
};

// As the kernel writes the place of a folder that is not there any more.
constexpr std::string_view removed = " (deleted)";

bool is_of(const fs::path& process, const Kind& kind) {
  std::error_code error;
  const auto place = fs::read_symlink(process / "cwd", error).string();
  if (error || place != kind.folder.string() + std::string{removed}) return false;
  auto comm = io::read_file_if_there(process / "comm", 4096).value_or("");
  if (comm.substr(0, comm.find('\n')) != kind.comm) return false;
  // In a container the same path is another place.
  return fs::read_symlink(process / "ns/mnt", error) == fs::read_symlink("/proc/self/ns/mnt", error) && !error;
}

bool runs_as(const fs::path& process, const Kind& kind) {
  struct stat status {};
  if (::stat(process.c_str(), &status) != 0) return false;
  return status.st_uid == (::geteuid() == 0 ? run_as(kind.user).uid : ::geteuid());
}

pid_t parent_of(const fs::path& process) {
  const auto text = io::read_file_if_there(process / "status", 4096).value_or("");
  const auto at = text.find("\nPPid:\t");
  pid_t parent = 0;
  if (at != std::string::npos) std::from_chars(text.data() + at + 7, text.data() + text.size(), parent);
  return parent;
}

}  // namespace

std::vector<Orphan> orphans_of(const fs::path& project) {
  std::vector<Orphan> found;
  std::error_code error;
  const auto real = fs::weakly_canonical(project, error);
  std::vector<fs::path> places{real / ".codops/dev"};
  if (const auto chosen = servers_folder(project); chosen != dev_folder(project)) places.push_back(chosen);
  std::vector<Kind> kinds;
  for (const auto& place : places) {
    kinds.push_back({"postgres", "PostgreSQL", "postgres", place / "postgres/data"});
    for (const auto* program : {"redis-server", "valkey-server"}) kinds.push_back({program, "Redis", "redis", place / "redis"});
  }
  for (const auto& entry : fs::directory_iterator{"/proc", error}) {
    const auto name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    try {
      for (const auto& kind : kinds) {
        if (!is_of(entry.path(), kind) || !runs_as(entry.path(), kind)) continue;
        // PostgreSQL's other processes end with the first.
        if (is_of(fs::path{"/proc"} / std::to_string(parent_of(entry.path())), kind)) continue;
        // Held, and looked at once more: a number may have got another process meanwhile.
        auto held = ServerProcess::held(static_cast<pid_t>(std::stol(name)));
        if (held && is_of(entry.path(), kind) && !held->ended()) found.push_back({std::move(*held), kind.name, std::string_view{kind.name} == "Redis"});
      }
    } catch (const Failure&) {
      // It has ended while it was looked at.
    }
  }
  return found;
}

void end_orphan(const Orphan& orphan, const Limits& limits) {
  // Redis refuses to end while it can't save.
  orphan.process.signal(orphan.saves_nothing ? SIGKILL : SIGQUIT);
  if (orphan.process.wait_ended(limits.within(Milliseconds{10'000}))) return;
  throw Failure{Exit::failed, fmt::format("{} (pid {}), whose folder was removed, does not end", orphan.name, orphan.process.pid()), fmt::format("kill -9 {}", orphan.process.pid())};
}

}  // namespace codops::scaffold::dev
