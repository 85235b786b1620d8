#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>

#include "lib/base/failure.hpp"
#include "lib/io/fd.hpp"
#include "lib/ops/dev/containers.hpp"
#include "lib/ops/dev/status.hpp"
#include "lib/ops/host.hpp"
#include "lib/ops/logs.hpp"
#include "lib/scaffold/dev/local_postgres.hpp"
#include "lib/scaffold/dev/local_redis.hpp"

namespace codops::ops::dev {
namespace {

using namespace scaffold::dev;
using Write = std::function<bool(std::string_view)>;

// A log file that is read on from where it ended; a line is given when it is whole.
struct Followed {
  std::string service;
  std::filesystem::path path;
  io::Fd fd;
  std::string rest;

  bool read_on(std::size_t width, const Write& write) {
    struct stat status {};
    // Cut by a restart of the server: from its start again.
    if (::fstat(fd.get(), &status) == 0 && ::lseek(fd.get(), 0, SEEK_CUR) > status.st_size) ::lseek(fd.get(), 0, SEEK_SET);
    std::array<char, 65536> buffer{};
    for (;;) {
      const auto got = ::read(fd.get(), buffer.data(), buffer.size());
      if (got <= 0) return true;
      rest.append(buffer.data(), static_cast<std::size_t>(got));
      for (auto end = rest.find('\n'); end != std::string::npos; end = rest.find('\n')) {
        if (!write(fmt::format("{:<{}}  {}\n", service, width, rest.substr(0, end)))) return false;
        rest.erase(0, end + 1);
      }
    }
  }
};

void local_logs(const Workspace& workspace, const DevLogs& request, const Write& write, const Limits& limits) {
  std::vector<Followed> files;
  const auto add = [&](const StorePlan& plan, const std::filesystem::path& path) {
    const auto& wanted = request.services;
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), plan.name) == wanted.end()) return;
    io::Fd fd{::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC)};
    if (fd) files.push_back({plan.name, path, std::move(fd), {}});
  };
  add(workspace.postgres, LocalPostgres{workspace.project}.log());
  add(workspace.redis, LocalRedis{workspace.project}.log());
  if (files.empty()) {
    throw Failure{Exit::usage, request.services.empty() ? "nothing was started here yet" : fmt::format("no log of {} is there", fmt::join(request.services, ", ")), "codops dev status"};
  }
  std::size_t width = 0;
  for (const auto& file : files) width = std::max(width, file.service.size());
  for (auto& file : files) {
    ::lseek(file.fd.get(), 0, SEEK_END);
    for (const auto& line : last_lines(file.path, request.tail)) {
      if (!write(fmt::format("{:<{}}  {}\n", file.service, width, line))) return;
    }
  }
  if (!request.follow) return;
  const io::Fd watch{::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)};
  if (!watch) throw Failure{Exit::failed, "cannot watch the logs"};
  for (const auto& file : files) ::inotify_add_watch(watch.get(), file.path.c_str(), IN_MODIFY);
  for (;;) {
    for (auto& file : files) {
      if (!file.read_on(width, write)) return;
    }
    if (limits.wait(watch.get(), POLLIN) == 0) return;
    std::array<char, 4096> events{};
    while (::read(watch.get(), events.data(), events.size()) > 0) {
    }
  }
}

}  // namespace

void dev_logs(const Workspace& workspace, const DevLogs& request, const Write& write, const Limits& limits) {
  std::vector<std::string> known;
  if (workspace.backend == Backend::docker && workspace.compose) {
    for (const auto& [name, service] : workspace.compose->services) known.push_back(name);
  } else if (workspace.backend == Backend::local) {
    for (const auto* store : {&workspace.postgres, &workspace.redis}) {
      if (store->wanted) known.push_back(store->name);
    }
  }
  for (const auto& wanted : request.services) {
    if (known.empty() || std::find(known.begin(), known.end(), wanted) != known.end()) continue;
    throw Failure{Exit::usage, fmt::format("\"{}\" is no service of this checkout", wanted), fmt::format("codops dev logs {}", fmt::join(known, " "))};
  }
  if (workspace.backend == Backend::local) {
    local_logs(workspace, request, write, limits);
    return;
  }
  if (workspace.engine_failure) throw *workspace.engine_failure;
  if (workspace.compose_failure) throw *workspace.compose_failure;
  if (!workspace.compose) throw Failure{Exit::config, "there is no compose file for development"};
  require_ours(workspace, limits);
  auto environment = workspace.environment;
  environment.engine = settings::Engine::docker;
  environment.compose_files = workspace.compose->files;
  environment.project = workspace.compose->name;
  SystemClock clock;
  SilentReporter silent;
  Host host{environment, workspace.shell, silent, clock};
  try {
    stream_logs(host, {request.services, request.follow, false, request.tail}, write, limits);
  } catch (const Failure& failure) {
    // That verb's own hint is one for a deployed environment.
    if (!failure.hint().starts_with("codops status")) throw;
    throw Failure{failure.code(), failure.message(), "codops setup-dev"};
  }
}

}  // namespace codops::ops::dev
