#include "lib/scaffold/dev/local_server.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "lib/base/failure.hpp"
#include "lib/io/crypto.hpp"
#include "lib/io/files.hpp"
#include "lib/scaffold/dev/ports.hpp"

namespace codops::scaffold::dev {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view aside_folder = "/var/lib/codops/dev";
constexpr off_t largest_log = 4 << 20;
// In .codops/dev: the folder aside that has the data. In that folder: the checkout that it belongs to.
constexpr std::string_view aside_note = "servers-folder", owner_note = "checkout";

std::string note_in(const fs::path& file) {
  try {
    auto text = io::read_file_if_there(file, 4096).value_or("");
    return text.substr(0, text.find('\n'));
  } catch (const Failure&) {
    return {};
  }
}

std::string mode_text(mode_t mode) { return fmt::format("{:03o}", mode & 0777U); }

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

// The checkout was at another path when its folder aside was made. Only told, never followed: what stands in .codops/dev may have come
// with the checkout.
fs::path aside_of_before(const fs::path& project) {
  const auto own = dev_folder(project);
  const fs::path noted{note_in(own / aside_note)};
  if (noted.parent_path() != aside_folder || noted == fs::path{aside_folder} / base_name(project)) return {};
  const fs::path before{note_in(noted / owner_note)};
  // That checkout is still there: this one is a copy of it, and has no claim.
  if (before.empty() || note_in(before / ".codops/dev" / aside_note) == noted) return {};
  return noted;
}

std::string ending_of(const fs::path& folder, const std::string& server) {
  const bool postgres = server == "postgres";
  const auto running = postgres ? ServerProcess::find(folder / "data/postmaster.pid", folder / "data", "postgres") : ServerProcess::find(folder / "redis.pid", folder, "redis-server");
  return running ? fmt::format("kill -{0} {1} && tail --pid={1} -f /dev/null && ", postgres ? "INT" : "TERM", running->pid()) : std::string{};
}

// Redis writes its file only later: one that runs has data too.
bool holds(const fs::path& folder, const std::string& server, const std::string& proof) {
  std::error_code error;
  return !folder.empty() && (fs::exists(folder / server / proof, error) || !ending_of(folder / server, server).empty());
}

}  // namespace

RunAs run_as(const std::string& user) {
  if (::geteuid() != 0) return {};
  // Steps run side by side: getpwnam() would give one of them the other's answer.
  std::array<char, 16384> buffer{};
  struct passwd found {};
  struct passwd* entry = nullptr;
  if (::getpwnam_r(user.c_str(), &found, buffer.data(), buffer.size(), &entry) != 0 || entry == nullptr) {
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
  std::error_code error;
  if (fs::exists(chosen / server / proof, error)) return {};
  auto other = chosen == own ? aside : own;
  std::string why;
  if (!holds(other, server, proof)) {
    other = aside_of_before(project);
    if (!holds(other, server, proof)) return {};
    why = fmt::format(" (it was at \"{}\")", note_in(other / owner_note));
  }
  const auto from = (other / server).string(), to = (chosen / server).string();
  hint = fmt::format("{}mkdir -p -m 711 \"{}\" && mv -T \"{}\" \"{}\"", ending_of(other / server, server), chosen.string(), from, to);
  // Once there is a folder aside, it is taken whatever others may enter.
  if (const auto closed = closed_to_others(own); other == own && !fs::exists(aside, error) && !closed.empty()) {
    hint = fmt::format("chmod o+x \"{}\"; or, to have the data there: {}", closed.string(), hint);
  }
  return fmt::format("this checkout's data of {} is in \"{}\"{}, and \"{}\", which is used now, has none: nothing was started or made", server, from, why, to);
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
  if (note_in(folder / owner_note) != project.string()) io::write_file(folder / owner_note, project.string() + "\n");
  const auto note = dev_folder(project) / aside_note;
  // The note is the only way back to what the path before still has.
  const auto before = aside_of_before(project);
  if (note_in(note) != folder.string() && !holds(before, "postgres", "data/PG_VERSION") && !holds(before, "redis", "dump.rdb")) io::write_file(note, folder.string() + "\n");
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

std::string linked_data(const fs::path& data, std::string& hint) {
  std::error_code error;
  if (!fs::is_symlink(fs::symlink_status(data, error))) return {};
  // What is behind it is named as it is, wherever the command is typed.
  const auto target = fs::weakly_canonical(data.parent_path() / fs::read_symlink(data, error), error);
  hint = fs::exists(target, error) ? fmt::format("rm \"{0}\" && mv -T \"{1}\" \"{0}\"", data.string(), target.string()) : fmt::format("rm \"{}\"", data.string());
  return fmt::format("\"{}\" is a link to \"{}\"{}: this checkout's data is not kept behind one", data.string(), target.string(), fs::exists(target, error) ? "" : ", which is not there");
}

std::string unusable_data(const fs::path& data, const RunAs& who, std::string& hint) {
  if (auto why = linked_data(data, hint); !why.empty()) return why;
  struct stat status {};
  if (::lstat(data.c_str(), &status) != 0) return {};
  const auto owner = who.user.empty() ? ::geteuid() : who.uid;
  if (status.st_uid != owner) {
    hint = fmt::format("chown -R {} \"{}\"", user_name(owner), data.string());
    return fmt::format("\"{}\" is user \"{}\"'s, and its server runs as \"{}\"", data.string(), user_name(status.st_uid), user_name(owner));
  }
  if (S_ISDIR(status.st_mode) && (status.st_mode & 0027U) != 0) {
    hint = fmt::format("chmod -R u=rwX,go= \"{}\"", data.string());
    return fmt::format("\"{}\" is open to other users (mode {})", data.string(), mode_text(status.st_mode));
  }
  return {};
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
  auto found = held(pid);
  if (!found) return std::nullopt;
  // From here on the descriptor stands for one process: what is read below is either its own, or it has ended.
  const auto process = fs::path{"/proc"} / std::to_string(pid);
  struct stat works_in {}, wanted {};
  if (::stat((process / "cwd").c_str(), &works_in) != 0 || ::stat(folder.c_str(), &wanted) != 0) return std::nullopt;
  if (works_in.st_dev != wanted.st_dev || works_in.st_ino != wanted.st_ino) return std::nullopt;
  auto comm = io::read_file_if_there(process / "comm", 4096).value_or("");
  comm = comm.substr(0, comm.find('\n'));
  if (comm != name) return std::nullopt;
  if (found->ended()) return std::nullopt;
  return found;
}

std::optional<ServerProcess> ServerProcess::held(pid_t pid) {
  if (pid <= 1) return std::nullopt;
  io::Fd pidfd{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
  if (!pidfd) return std::nullopt;
  return ServerProcess{pid, std::move(pidfd)};
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
