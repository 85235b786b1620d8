#include "lib/ops/time_account.hpp"

#include <fmt/format.h>

#include "lib/base/units.hpp"

namespace codops::ops {
namespace {

Milliseconds engine_part(const RunResult& run, const std::string& call) {
  const auto found = run.engine_time.find(call);
  return found == run.engine_time.end() ? Milliseconds{} : found->second;
}

}  // namespace

TimeAccount time_account(const RunResult& run) {
  TimeAccount account;
  account.total = run.elapsed;
  account.hooks = run.after_hooks;
  account.waited = run.waited;
  for (const auto& [call, time] : run.engine_time) account.engine += time;
  Milliseconds starting{};
  for (const auto& [step, elapsed] : run.outcome.timings) {
    if (step == "data" || step == "task" || step == "start" || step == "swap" || step == "front" || step == "rollout") starting += elapsed;
    if (step == "backup" || step == "migrate") account.companions += elapsed;
    if (step == "hook") account.hooks += elapsed;
    if (step == "drain") account.drain = elapsed;
    if (step == "monitor") account.monitor = elapsed;
  }
  const auto calls = engine_part(run, "create") + engine_part(run, "start") + engine_part(run, "join");
  account.boot = std::max(Milliseconds{}, starting - calls);
  const auto others = account.engine + account.boot + account.waited + account.companions + account.hooks + account.drain + account.monitor;
  account.own = std::max(Milliseconds{}, account.total - others);
  return account;
}

std::string to_text(const TimeAccount& account) {
  std::string text = format_duration(account.total) + ":";
  const auto add = [&](const char* name, Milliseconds time) {
    if (time > Milliseconds{}) text += fmt::format(" {} {},", name, format_duration(time));
  };
  add("waited", account.waited);
  add("boot", account.boot);
  add("engine", account.engine);
  add("backup and migrations", account.companions);
  add("hooks", account.hooks);
  add("drain", account.drain);
  add("monitor", account.monitor);
  add("codops", account.own);
  text.pop_back();
  return text;
}

}  // namespace codops::ops
