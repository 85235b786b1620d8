#include "lib/ops/nginx_workers.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "lib/engine/docker/api.hpp"
#include "lib/ops/proxy.hpp"

namespace codops::ops {
namespace {

constexpr Milliseconds between_looks_at_workers{10};
constexpr Milliseconds takeover_time{10'000};

struct Worker {
  std::string pid;
  bool leaving{};
};

class Workers {
 public:
  Workers(RunContext& context, const std::string& proxy, const Limits& limits)
      : context_{context}, proxy_{proxy}, master_{nginx_master(context, proxy, limits)} {}

  std::vector<Worker> now(const Limits& limits) const {
    std::vector<Worker> workers;
    const auto add = [&](const std::string& pid, const std::string& title) {
      if (title.find("nginx: worker process") != std::string::npos) workers.push_back({pid, title.find("is shutting down") != std::string::npos});
    };
    if (master_) {
      for (const auto& child : master_->children()) add(std::to_string(child.pid), child.title);
      // None at all: it may be gone, which the engine says in its own words.
      if (!workers.empty()) return workers;
    }
    const auto list = context_.api.top(proxy_, limits);
    std::size_t pid_column = 1;
    for (std::size_t column = 0; column < list.titles.size(); ++column) {
      if (list.titles[column] == "PID") pid_column = column;
    }
    for (const auto& row : list.rows) {
      if (!row.empty()) add(row.at(pid_column), row.back());
    }
    return workers;
  }
  std::vector<std::string> now(bool leaving, const Limits& limits) const {
    std::vector<std::string> pids;
    for (const auto& worker : now(limits)) {
      if (worker.leaving == leaving) pids.push_back(worker.pid);
    }
    return pids;
  }

 private:
  RunContext& context_;
  std::string proxy_;
  std::optional<engine::docker::LocalProcess> master_;
};

bool any_of_them(const std::vector<std::string>& pids, const std::string& pid) { return std::find(pids.begin(), pids.end(), pid) != pids.end(); }

}  // namespace

std::optional<engine::docker::LocalProcess> nginx_master(RunContext& context, const std::string& proxy, const Limits& limits) {
  auto first = engine::docker::LocalProcess::of(context.api.inspect_container(proxy, limits));
  if (first && first->title().rfind("nginx: master process", 0) != 0) first.reset();
  return first;
}

std::vector<std::string> accepting_workers(RunContext& context, const std::string& proxy, const Limits& limits) {
  return Workers{context, proxy, limits}.now(false, limits);
}

std::vector<std::string> leaving_workers(RunContext& context, const std::string& proxy, const Limits& limits) {
  return Workers{context, proxy, limits}.now(true, limits);
}

void await_takeover(RunContext& context, const std::string& proxy, const std::vector<std::string>& before, const Limits& limits) {
  const Limits within = limits.within(takeover_time);
  const Workers workers{context, proxy, within};
  for (;;) {
    const auto now = workers.now(false, within);
    if (!now.empty() && std::none_of(now.begin(), now.end(), [&](const auto& pid) { return any_of_them(before, pid); })) return;
    if (within.deadline.expired()) {
      throw Failure{Exit::failed, fmt::format("nginx in {} still answers with its old workers after {} s", proxy, takeover_time.count() / 1000),
                    fmt::format("docker logs {}", proxy)};
    }
    within.within(between_looks_at_workers).wait(-1, 0);
  }
}

bool workers_gone(RunContext& context, const std::string& proxy, const std::vector<std::string>& workers, Deadline until,
                  const Limits& limits) {
  const Workers all{context, proxy, limits};
  for (;;) {
    const auto now = all.now(limits);
    if (std::none_of(now.begin(), now.end(), [&](const Worker& worker) { return any_of_them(workers, worker.pid); })) return true;
    if (until.expired()) return false;
    limits.within(between_looks_at_workers * 4).wait(-1, 0);
  }
}

}  // namespace codops::ops
