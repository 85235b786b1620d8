#include "lib/engine/docker/local_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <sstream>

namespace codops::engine::docker {
namespace {

// What has ended has nothing to say.
std::string content_of(const io::Fd& file) {
  std::string content;
  std::array<char, 4096> buffer{};
  for (;;) {
    const auto got = ::read(file.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return content;
    content.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

// Arguments end with NUL; nginx writes its title over them and leaves the rest as it was.
std::string title_of(std::string command_line) {
  command_line.erase(std::find(command_line.begin(), command_line.end(), '\0'), command_line.end());
  return command_line;
}

}  // namespace

std::optional<LocalProcess> LocalProcess::of(const ContainerDetails& container) {
  if (container.pid <= 1 || container.id.size() != 64 || ::geteuid() != 0) return std::nullopt;
  io::Fd proc{::open(fmt::format("/proc/{}", container.pid).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!proc) return std::nullopt;
  LocalProcess found{container.pid, std::move(proc)};
  if (found.read("cgroup").find(container.id) == std::string::npos) return std::nullopt;
  return found;
}

std::string LocalProcess::read(const std::string& name) const {
  const io::Fd file{::openat(proc_.get(), name.c_str(), O_RDONLY | O_CLOEXEC)};
  return file ? content_of(file) : std::string{};
}

std::string LocalProcess::title() const { return title_of(read("cmdline")); }

std::vector<LocalProcess::Child> LocalProcess::children() const {
  std::vector<Child> found;
  std::istringstream pids{read(fmt::format("task/{}/children", pid_))};
  for (pid_t pid = 0; pids >> pid;) {
    const io::Fd file{::open(fmt::format("/proc/{}/cmdline", pid).c_str(), O_RDONLY | O_CLOEXEC)};
    found.push_back({pid, file ? title_of(content_of(file)) : std::string{}});
  }
  return found;
}

bool LocalProcess::signal(int number) const { return ::syscall(SYS_pidfd_send_signal, proc_.get(), number, nullptr, 0) == 0; }

io::Fd LocalProcess::folder(const std::string& path) const {
  const io::Fd root{::openat(proc_.get(), "root", O_PATH | O_DIRECTORY | O_CLOEXEC)};
  if (!root) return {};
  open_how how{};
  how.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  return io::Fd{static_cast<int>(::syscall(SYS_openat2, root.get(), path.c_str(), &how, sizeof how))};
}

bool replace_file(const io::Fd& folder, const std::string& temporary, const std::string& name, const std::string& content) {
  ::unlinkat(folder.get(), temporary.c_str(), 0);
  {
    const io::Fd file{::openat(folder.get(), temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644)};
    if (!file || ::fchmod(file.get(), 0644) != 0) return false;
    for (std::size_t done = 0; done < content.size();) {
      const auto wrote = ::write(file.get(), content.data() + done, content.size() - done);
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote <= 0) return false;
      done += static_cast<std::size_t>(wrote);
    }
  }
  return ::renameat(folder.get(), temporary.c_str(), folder.get(), name.c_str()) == 0;
}

}  // namespace codops::engine::docker
