#include "lib/scaffold/dev/local_server.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "lib/base/failure.hpp"
#include "lib/io/crypto.hpp"
#include "lib/io/files.hpp"

namespace codops::scaffold::dev {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view aside_folder = "/var/lib/codops/dev";
constexpr off_t largest_log = 4 << 20;

// The folder at which another user who walks down to this one is stopped; empty: none.
fs::path closed_to_others(const fs::path& folder) {
  std::error_code error;
  for (auto path = fs::canonical(folder, error); !error; path = path.parent_path()) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0 || (status.st_mode & S_IXOTH) == 0) return path;
    if (path == path.parent_path()) return {};
  }
  return folder;
}

std::string base_name(const fs::path& project) {
  std::string name;
  for (const char c : project.filename().string()) name += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '-';
  return fmt::format("{}-{}", name.empty() ? "project" : name.substr(0, 40), io::sha256_hex(project.string()).substr(0, 12));
}

// The first line of a pid file.
std::optional<pid_t> pid_in(const fs::path& pid_file) {
  std::optional<std::string> text;
  try {
    text = io::read_file_if_there(pid_file, 64U << 10U);
  } catch (const Failure&) {
    return std::nullopt;
  }
  pid_t pid = 0;
  if (!text) return std::nullopt;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), pid);
  return error == std::errc{} && pid > 1 ? std::optional{pid} : std::nullopt;
}

}  // namespace

RunAs run_as(const std::string& user) {
  if (::geteuid() != 0) return {};
  const auto* entry = ::getpwnam(user.c_str());
  if (entry == nullptr) {
    throw Failure{Exit::unavailable, fmt::format("there is no user \"{}\" to run a server as, and root must not", user),
                  fmt::format("run setup-dev as another user than root, or: useradd --system {}", user)};
  }
  return {user, entry->pw_uid, entry->pw_gid};
}

std::vector<std::string> argv_as(const RunAs& who, std::vector<std::string> argv, bool dies_with_us) {
  if (who.user.empty()) return argv;
  std::vector<std::string> all{"setpriv", "--reuid=" + who.user, "--regid=" + std::to_string(who.gid), "--clear-groups"};
  // A change of user takes the signal away that io::Child sets.
  if (dies_with_us) all.insert(all.end(), {"--pdeathsig", "KILL"});
  all.emplace_back("--");
  all.insert(all.end(), argv.begin(), argv.end());
  return all;
}

fs::path servers_folder(const fs::path& project) {
  const auto own = dev_folder(project);
  if (::geteuid() != 0) return own;
  // Nothing that a checkout brings along may say where: the folder is made, given away and removed by root.
  auto aside = fs::path{aside_folder} / base_name(project);
  std::error_code error;
  if (fs::is_directory(fs::symlink_status(aside, error))) return aside;
  // The folder is made with 0711; until it is there its parents decide.
  auto nearest = own;
  while (!fs::exists(nearest, error)) nearest = nearest.parent_path();
  return closed_to_others(nearest).empty() ? own : aside;
}

std::string data_elsewhere(const fs::path& project, const std::string& server, const std::string& proof, std::string& hint) {
  if (::geteuid() != 0) return {};
  const auto own = dev_folder(project), aside = fs::path{aside_folder} / base_name(project), chosen = servers_folder(project);
  const auto& other = chosen == own ? aside : own;
  std::error_code error;
  if (fs::exists(chosen / server / proof, error) || !fs::exists(other / server / proof, error)) return {};
  const auto from = (other / server).string(), to = (chosen / server).string();
  hint = fmt::format("end its server if it runs, then: mkdir -p -m 711 \"{}\" && mv -T \"{}\" \"{}\"", chosen.string(), from, to);
  // Once there is a folder aside, it is taken whatever others may enter.
  if (const auto closed = closed_to_others(own); chosen == aside && !fs::exists(aside, error) && !closed.empty()) {
    hint = fmt::format("chmod o+x \"{}\"; or, to have the data there: {}", closed.string(), hint);
  }
  return fmt::format("this checkout's data of {} is in \"{}\", and \"{}\", which is used now, has none: nothing was started or made", server, from, to);
}

void make_servers_folder(const fs::path& project) {
  const auto folder = servers_folder(project);
  if (folder == dev_folder(project)) return;
  for (const auto& part : {fs::path{aside_folder}.parent_path(), fs::path{aside_folder}, folder}) {
    if (::mkdir(part.c_str(), 0711) == 0) {
      ::chmod(part.c_str(), 0711);
      continue;
    }
    struct stat status {};
    if (errno != EEXIST || ::lstat(part.c_str(), &status) != 0 || !S_ISDIR(status.st_mode) || status.st_uid != 0) {
      throw Failure{Exit::failed, fmt::format("cannot make \"{}\" for the servers' data", part.string()), "put the checkout where other users can enter"};
    }
  }
}

void make_server_folder(const fs::path& folder, const RunAs& who) {
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    throw Failure{Exit::failed, fmt::format("cannot create \"{}\": {}", folder.string(), std::strerror(errno))};
  }
  const io::Fd fd{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0) {
    throw Failure{Exit::failed, fmt::format("\"{}\" is no folder that can be used: {}", folder.string(), std::strerror(errno))};
  }
  if (!who.user.empty() && status.st_uid != who.uid && ::fchown(fd.get(), who.uid, who.gid) != 0) {
    throw Failure{Exit::failed, fmt::format("cannot give \"{}\" to the user \"{}\": {}", folder.string(), who.user, std::strerror(errno))};
  }
}

std::optional<ServerProcess> ServerProcess::find(const fs::path& pid_file, const fs::path& folder, const std::string& name) {
  const auto pid = pid_in(pid_file);
  return pid ? of(*pid, folder, name) : std::nullopt;
}

bool ServerProcess::is_used_again(const fs::path& pid_file, const fs::path& folder) {
  const auto pid = pid_in(pid_file);
  struct stat works_in {}, wanted {};
  // Where it can't be told, it is not.
  if (!pid || ::stat(fmt::format("/proc/{}/cwd", *pid).c_str(), &works_in) != 0 || ::stat(folder.c_str(), &wanted) != 0) return false;
  return works_in.st_dev != wanted.st_dev || works_in.st_ino != wanted.st_ino;
}

std::optional<ServerProcess> ServerProcess::of(pid_t pid, const fs::path& folder, const std::string& name) {
  if (pid <= 1) return std::nullopt;
  io::Fd pidfd{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
  if (!pidfd) return std::nullopt;
  // From here on the descriptor stands for one process: what is read below is either its own, or it has ended.
  const auto process = fs::path{"/proc"} / std::to_string(pid);
  struct stat works_in {}, wanted {};
  if (::stat((process / "cwd").c_str(), &works_in) != 0 || ::stat(folder.c_str(), &wanted) != 0) return std::nullopt;
  if (works_in.st_dev != wanted.st_dev || works_in.st_ino != wanted.st_ino) return std::nullopt;
  auto comm = io::read_file_if_there(process / "comm", 4096).value_or("");
  comm = comm.substr(0, comm.find('\n'));
  if (comm != name) return std::nullopt;
  ServerProcess found{pid, std::move(pidfd)};
  if (found.ended()) return std::nullopt;
  return found;
}

bool ServerProcess::ended() const {
  pollfd watched{pidfd_.get(), POLLIN, 0};
  return ::poll(&watched, 1, 0) > 0;
}

bool ServerProcess::signal(int number) const { return ::syscall(SYS_pidfd_send_signal, pidfd_.get(), number, nullptr, 0) == 0; }

bool ServerProcess::wait_ended(const Limits& limits) const { return limits.wait(pidfd_.get(), POLLIN) != 0; }

std::optional<Milliseconds> ServerProcess::uptime() const {
  const auto text = io::read_file_if_there(fmt::format("/proc/{}/stat", pid_), 4096);
  if (!text) return std::nullopt;
  std::string_view rest{*text};
  rest.remove_prefix(std::min(rest.size(), rest.rfind(')') + 1));
  for (int field = 2; field < 22; ++field) {
    const auto space = rest.find(' ');
    if (space == std::string_view::npos) return std::nullopt;
    rest.remove_prefix(space + 1);
  }
  long long ticks = 0;
  std::from_chars(rest.data(), rest.data() + rest.size(), ticks);
  const auto started = Milliseconds{ticks * 1000 / ::sysconf(_SC_CLK_TCK)};
  const auto now = SystemClock{}.since_boot();
  return now > started ? now - started : Milliseconds{0};
}

io::Fd open_log(const fs::path& path) {
  io::Fd fd{::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600)};
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0) {
    throw Failure{Exit::failed, fmt::format("cannot write \"{}\": {}", path.string(), std::strerror(errno))};
  }
  if (status.st_size > largest_log && ::ftruncate(fd.get(), 0) != 0) return fd;
  return fd;
}

std::vector<std::string> last_lines(const fs::path& path, std::size_t count) {
  std::vector<std::string> lines;
  const io::Fd fd{::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC)};
  if (!fd) return lines;
  constexpr off_t window = 256 << 10;
  const auto size = ::lseek(fd.get(), 0, SEEK_END);
  std::string text(static_cast<std::size_t>(std::min(size, window)), '\0');
  const auto got = ::pread(fd.get(), text.data(), text.size(), std::max<off_t>(0, size - window));
  text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  while (lines.size() < count && !text.empty()) {
    const auto at = text.rfind('\n');
    lines.insert(lines.begin(), text.substr(at == std::string::npos ? 0 : at + 1));
    text.resize(at == std::string::npos ? 0 : at);
  }
  return lines;
}

}  // namespace codops::scaffold::dev
