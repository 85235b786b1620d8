#include "lib/ops/proxy.hpp"

#include <fmt/format.h>

#include "lib/base/parallel.hpp"
#include "lib/engine/docker/api.hpp"
#include "lib/io/tar.hpp"
#include "lib/ops/members.hpp"
#include "lib/ops/upstreams.hpp"

namespace codops::ops {
namespace {

constexpr Milliseconds look_again{10};
constexpr Milliseconds reload_time{10'000};

struct Ran {
  int exit{};
  std::string output;
};

Ran run(RunContext& context, const std::string& container, std::vector<std::string> argv, const Limits& limits) {
  Ran ran;
  const auto keep = [&](std::string_view bytes) {
    if (ran.output.size() < 16384) ran.output += bytes;
  };
  engine::docker::Api::ExecSpec spec;
  spec.argv = std::move(argv);
  // A process that was stopped between the two calls may have lost the lock meanwhile.
  spec.before_start = context.require_lock;
  ran.exit = context.api.run_exec(container, spec, {}, keep, keep, limits.within(reload_time));
  return ran;
}

struct Worker {
  std::string pid;
  bool leaving{};
};

std::vector<Worker> workers_of(RunContext& context, const std::string& proxy, const Limits& limits) {
  const auto list = context.api.top(proxy, limits);
  std::size_t pid_column = 1;
  for (std::size_t column = 0; column < list.titles.size(); ++column) {
    if (list.titles[column] == "PID") pid_column = column;
  }
  std::vector<Worker> workers;
  for (const auto& row : list.rows) {
    if (row.empty() || row.back().find("nginx: worker process") == std::string::npos) continue;
    workers.push_back({row.at(pid_column), row.back().find("is shutting down") != std::string::npos});
  }
  return workers;
}

// nginx's own lines, without its time stamps: "nginx: [emerg] host not found …".
std::string essence(const std::string& output) {
  std::string kept;
  std::size_t start = 0;
  while (start < output.size()) {
    auto end = output.find('\n', start);
    if (end == std::string::npos) end = output.size();
    const auto line = output.substr(start, end - start);
    if (line.find("[emerg]") != std::string::npos || line.find("[error]") != std::string::npos) kept += (kept.empty() ? "" : "; ") + line;
    start = end + 1;
  }
  return kept.empty() ? output.substr(0, 500) : kept;
}

void stage(RunContext& context, const std::string& proxy, const std::string& text, const Limits& limits) {
  context.api.put_archive(proxy, context.proxy.upstreams, io::write_tar({{upstream_temp_name, text, 0644, io::TarEntry::Kind::file, {}, 0, 0, 0, 0}}), limits);
}

std::string staged_path(const RunContext& context) { return context.proxy.upstreams + "/" + upstream_temp_name; }
std::string place_of(const RunContext& context) { return context.proxy.upstreams + "/" + upstream_file_name; }

[[noreturn]] void not_moved(const std::string& proxy, const std::string& output) {
  throw Failure{Exit::failed, fmt::format("the upstream file could not be moved into place in {}: {}", proxy, output)};
}

void move_into_place(RunContext& context, const std::string& proxy, const Limits& limits) {
  const auto moved = run(context, proxy, {"mv", "-f", staged_path(context), place_of(context)}, limits);
  if (moved.exit != 0) not_moved(proxy, moved.output);
}

// Longer ones go through the archive API: the kernel bounds an argument at 128 KiB.
constexpr std::size_t longest_argument = 100 * 1024;

// The file goes into place and nginx reads it. Each call of the engine costs more than the work itself: one exec does all of it where
// the image has a shell, whose script is constant and gets the rest as parameters. Not the engine's own kill with SIGHUP, which would
// be quicker still: engine 20.10 then takes the container for one that was stopped by hand, and "unless-stopped" does not bring it back
// when the engine restarts.
void put_and_reload(RunContext& context, const std::string& proxy, const std::string& text, const Limits& limits) {
  constexpr int not_put = 99;
  Ran ran{126, {}};
  if (text.size() <= longest_argument) {
    const auto script = fmt::format("printf %s \"$3\" >\"$1\" && mv -f \"$1\" \"$2\" || exit {}; exec nginx -s reload", not_put);
    ran = run(context, proxy, {"sh", "-c", script, "codops", staged_path(context), place_of(context), text}, limits);
    if (ran.exit == not_put) not_moved(proxy, ran.output);
  }
  // The engine's own codes for a command that is not there: an image without a shell.
  if (ran.exit == 126 || ran.exit == 127) {
    stage(context, proxy, text, limits);
    move_into_place(context, proxy, limits);
    ran = run(context, proxy, {"nginx", "-s", "reload"}, limits);
  }
  if (ran.exit == 0) return;
  throw Failure{Exit::config, fmt::format("nginx in {} refuses its configuration: {}", proxy, essence(ran.output)),
                "mend the proxy's configuration and deploy again; nothing was reloaded"};
}

}  // namespace

std::vector<std::string> accepting_workers(RunContext& context, const std::string& proxy, const Limits& limits) {
  std::vector<std::string> pids;
  for (const auto& worker : workers_of(context, proxy, limits)) {
    if (!worker.leaving) pids.push_back(worker.pid);
  }
  return pids;
}

std::vector<std::string> leaving_workers(RunContext& context, const std::string& proxy, const Limits& limits) {
  std::vector<std::string> pids;
  for (const auto& worker : workers_of(context, proxy, limits)) {
    if (worker.leaving) pids.push_back(worker.pid);
  }
  return pids;
}

void put_upstreams(RunContext& context, const std::string& proxy, const std::string& text, const Limits& limits) {
  context.require_lock();
  // A container of an earlier release may have the volume in another place than the settings say by now.
  auto folder = context.proxy.upstreams;
  const auto details = context.api.inspect_container(proxy, limits);
  bool reads_it = details.labels.count(label_token) != 0;
  for (const auto& mount : details.mounts) {
    if (mount.name != context.project + upstreams_volume_suffix) continue;
    folder = mount.destination;
    reads_it = true;
  }
  if (!reads_it) return;  // docker compose's own proxy finds the services by their names
  context.api.put_archive(proxy, folder, io::write_tar({{upstream_file_name, text, 0644, io::TarEntry::Kind::file, {}, 0, 0, 0, 0}}), limits);
}

void write_upstreams(RunContext& context, const std::string& proxy, const std::string& text, const Limits& limits) {
  stage(context, proxy, text, limits);
  move_into_place(context, proxy, limits);
}

std::vector<std::string> switch_upstreams(RunContext& context, const std::string& proxy, const std::string& text,
                                          const std::vector<release::FileRef>& files, const Limits& limits) {
  std::vector<std::string> before;
  in_parallel({[&] { before = accepting_workers(context, proxy, limits); },
               [&] { put_files(context, proxy, files, limits); }});
  reload_upstreams(context, proxy, text, limits);
  await_takeover(context, proxy, before, limits);
  return before;
}

void reload_upstreams(RunContext& context, const std::string& proxy, const std::string& text, const Limits& limits) {
  context.require_lock();
  put_and_reload(context, proxy, text, limits);
}

void await_takeover(RunContext& context, const std::string& proxy, const std::vector<std::string>& before, const Limits& limits) {
  const Limits within = limits.within(reload_time);
  for (;;) {
    const auto now = accepting_workers(context, proxy, within);
    const bool old_left = std::any_of(now.begin(), now.end(), [&](const auto& pid) {
      return std::find(before.begin(), before.end(), pid) != before.end();
    });
    if (!old_left && !now.empty()) return;
    if (within.deadline.expired()) {
      throw Failure{Exit::failed, fmt::format("nginx in {} still answers with its old workers after {} s", proxy, reload_time.count() / 1000),
                    fmt::format("docker logs {}", proxy)};
    }
    within.within(look_again).wait(-1, 0);
  }
}

bool workers_gone(RunContext& context, const std::string& proxy, const std::vector<std::string>& workers, Deadline until,
                  const Limits& limits) {
  for (;;) {
    const auto now = workers_of(context, proxy, limits);
    const bool left = std::any_of(now.begin(), now.end(), [&](const Worker& worker) {
      return std::find(workers.begin(), workers.end(), worker.pid) != workers.end();
    });
    if (!left) return true;
    if (until.expired()) return false;
    limits.within(look_again * 4).wait(-1, 0);
  }
}

}  // namespace codops::ops
