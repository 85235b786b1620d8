#include "lib/ops/proxy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <set>

#include "lib/base/parallel.hpp"
#include "lib/engine/docker/api.hpp"
#include "lib/io/tar.hpp"
#include "lib/ops/image_view.hpp"
#include "lib/ops/members.hpp"
#include "lib/ops/nginx_workers.hpp"
#include "lib/ops/upstreams.hpp"
#include "lib/plan/fault.hpp"
#include "lib/plan/runner.hpp"

namespace codops::ops {

using engine::docker::replace_file;

namespace {

constexpr Milliseconds reload_time{10'000};
// nginx needs some 30 ms to read its configuration and start its workers.
constexpr Milliseconds signal_time{1'000};
constexpr Milliseconds between_looks_at_master{5};

struct Ran {
  int exit{};
  std::string output;
};

Ran run(RunContext& context, const std::string& container, std::vector<std::string> argv, const Limits& limits, const char* user = "") {
  Ran ran;
  const auto keep = [&](std::string_view bytes) {
    if (ran.output.size() < 16384) ran.output += bytes;
  };
  engine::docker::Api::ExecSpec spec;
  spec.argv = std::move(argv);
  spec.user = user;
  // A process that was stopped between the two calls may have lost the lock meanwhile.
  spec.before_start = context.require_lock;
  ran.exit = context.api.run_exec(container, spec, {}, keep, keep, limits.within(reload_time));
  return ran;
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

std::vector<pid_t> workers_of(const engine::docker::LocalProcess& master) {
  std::vector<pid_t> pids;
  for (const auto& child : master.children()) {
    if (child.title.rfind("nginx: worker process", 0) == 0) pids.push_back(child.pid);
  }
  return pids;
}

// Where the proxy's first process is one of this machine: a rename and a signal. A new worker proves that nginx has read its
// configuration; without one it refused it, or is slow, and is asked in words. false: not done, or not seen.
bool put_and_signal(RunContext& context, const std::string& proxy, const std::string& text, const Limits& limits) {
  const auto master = nginx_master(context, proxy, limits);
  if (!master) return false;
  const auto folder = master->folder(context.proxy.upstreams);
  const auto within = limits.within(signal_time);
  auto before = workers_of(*master);
  // It starts still, and its first worker would prove nothing.
  for (; before.empty() && !within.deadline.expired(); before = workers_of(*master)) within.within(between_looks_at_master).wait(-1, 0);
  if (before.empty()) return false;
  context.require_lock();
  if (!folder || !replace_file(folder, upstream_temp_name, upstream_file_name, text) || !master->signal(SIGHUP)) return false;
  for (;;) {
    for (const auto pid : workers_of(*master)) {
      if (std::find(before.begin(), before.end(), pid) == before.end()) return true;
    }
    if (within.deadline.expired()) return false;
    within.within(between_looks_at_master).wait(-1, 0);
  }
}

// The file goes into place and nginx reads it. Each call of the engine costs more than the work itself: one exec does all of it where
// the image has a shell, whose script is constant and gets the rest as parameters. Not the engine's own kill with SIGHUP: engine 20.10
// then takes the container for one that was stopped by hand, and "unless-stopped" does not bring it back when the engine restarts.
void put_and_reload(RunContext& context, const std::string& proxy, const std::string& text, const Limits& limits) {
  if (put_and_signal(context, proxy, text, limits)) return;
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
  throw plan::NothingMoved{Exit::config, fmt::format("nginx in {} refuses its configuration: {}", proxy, essence(ran.output)),
                "mend the proxy's configuration and deploy again; nothing was reloaded"};
}

}  // namespace

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

namespace {

// What the release before or after this one has and this one has not.
struct Others {
  std::set<std::string> gone;        // nginx would go on reading it
  std::vector<std::string> folders;  // a file or a link there, and a folder here: what is put below it makes it one
};

Others others_than(const RunContext& context, const std::vector<release::FileRef>& files) {
  Others others;
  if (files.empty()) return others;
  const auto add = [&](const release::Release& release) {
    const auto* service = release.service(context.proxy.service);
    if (service == nullptr) return;
    for (const auto& file : service->files) others.gone.insert(file.target);
  };
  add(context.next);
  if (context.current) add(*context.current);
  const auto lies_below = [](const std::string& path, const std::string& folder) { return path.starts_with(folder + "/"); };
  for (const auto& file : files) {
    others.gone.erase(file.target);
    // It goes with the folder that the link replaces; through the link something else would.
    if (file.link) std::erase_if(others.gone, [&](const auto& other) { return lies_below(other, file.target); });
  }
  for (const auto& other : others.gone) {
    if (std::any_of(files.begin(), files.end(), [&](const auto& file) { return lies_below(file.target, other); })) others.folders.push_back(other);
  }
  for (const auto& folder : others.folders) others.gone.erase(folder);
  return others;
}

// Where a file of its own was mounted over one of the image, that one is seen again. In a folder of files there is nothing of the image.
void give_back_images(RunContext& context, const std::string& proxy, std::set<std::string>& others, const Limits& limits) {
  const auto details = context.api.inspect_container(proxy, limits);
  const auto is_in_mount = [&](const std::string& path) {
    return std::any_of(details.mounts.begin(), details.mounts.end(), [&](const auto& mount) { return path.starts_with(mount.destination + "/"); });
  };
  if (std::all_of(others.begin(), others.end(), is_in_mount)) return;
  ImageView image{context.api, context.project, context.environment, details.image_id, limits};
  for (auto other = others.begin(); other != others.end();) {
    std::string tar;
    if (is_in_mount(*other) || !image.read(*other, [&](std::string_view bytes) { tar += bytes; }, limits)) {
      ++other;
      continue;
    }
    context.require_lock();
    context.api.put_archive(proxy, std::filesystem::path{*other}.parent_path().string(), tar, limits);
    other = others.erase(other);
  }
}

void take_away(RunContext& context, const std::string& proxy, std::set<std::string> others, const Limits& limits) {
  if (others.empty()) return;
  context.require_lock();
  give_back_images(context, proxy, others, limits);
  if (others.empty()) return;
  std::vector<std::string> argv{"rm", "-f", "--"};
  argv.insert(argv.end(), others.begin(), others.end());
  if (run(context, proxy, std::move(argv), limits, "0").exit == 0) return;
  // An image without rm: empty ones say nothing.
  std::vector<io::TarEntry> entries;
  for (const auto& target : others) entries.push_back({target.substr(target.find_first_not_of('/')), {}, 0644, io::TarEntry::Kind::file, {}, 0, 0, 0, 0});
  context.api.put_archive(proxy, "/", io::write_tar(entries), limits);
}

}  // namespace

std::vector<std::string> switch_upstreams(RunContext& context, const std::string& proxy, const std::string& text,
                                          const std::vector<release::FileRef>& files, const Limits& limits) {
  std::vector<std::string> before;
  const auto others = others_than(context, files);
  in_parallel({[&] { before = accepting_workers(context, proxy, limits); },
               [&] { put_files(context, proxy, files, limits, others.folders); },
               [&] { take_away(context, proxy, others.gone, limits); }});
  if (!files.empty()) plan::Faults{}.at("in", "files");
  reload_upstreams(context, proxy, text, limits);
  await_takeover(context, proxy, before, limits);
  return before;
}

void reload_upstreams(RunContext& context, const std::string& proxy, const std::string& text, const Limits& limits) {
  context.require_lock();
  put_and_reload(context, proxy, text, limits);
}

}  // namespace codops::ops
