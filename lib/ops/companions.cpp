#include "lib/ops/companions.hpp"

#include <fmt/format.h>

#include "lib/ops/hooks.hpp"

namespace codops::ops {

Companies plan_companions(Host&, const Desired&, const Observed&, const Limits&) { return {}; }

Companions companions_of(Host& host, const Companies&, const Planned& planned) {
  Companions companions;
  companions.pre_hook = [&host, version = planned.plan.version, next = planned.next](std::size_t index, const Limits& limits) {
    return run_hook(host, host.environment().hooks.pre_deploy.at(index), {"pre_deploy", version, next.number, "running"}, &next, limits);
  };
  return companions;
}

void run_after_hooks(Host& host, const RunResult& run, const Limits& limits) {
  const bool good = run.exit == Exit::ok;
  const auto& hooks = good ? host.environment().hooks.post_deploy : host.environment().hooks.on_failure;
  for (const auto& hook : hooks) {
    try {
      run_hook(host, hook, {good ? "post_deploy" : "on_failure", run.plan.version, run.plan.release, run.entry.result}, nullptr,
               good ? limits : Limits{});
    } catch (const Failure& failure) {
      host.reporter().warn(fmt::format("hook \"{}\" failed: {}", fmt::join(hook.run, " "), failure.message()));
    }
  }
}

std::vector<std::string> schema_ahead(Host&, const release::Release&, const Observed&, const Limits&) { return {}; }

}  // namespace codops::ops
