// Back to a release on record: its kept containers, configuration and environment. Data keeps its present definition.
#include <fmt/format.h>

#include "lib/base/parallel.hpp"
#include "lib/ops/deploy.hpp"
#include "lib/ops/observe.hpp"
#include "lib/ops/others.hpp"

namespace codops::ops {

DeployResult rollback(Host& host, const RollbackRequest& request, const Limits& limits) {
  DeployResult result;
  const auto began = host.clock().steady();
  result.dry_run = request.dry_run;
  PlanOptions options;
  options.verb = "rollback";
  options.monitor = host.environment().monitor;
  options.old_set_running = host.environment().old_set == settings::OldSet::running;
  const auto plan_for = [&](const Observed& observed, const std::string& token) {
    options.token = token;
    const auto current = serving(observed, host.project());
    const auto& target = rollback_target(observed.snapshot, request.to, current && !is_on_record(observed, *current));
    ProxySettings proxy{host.environment().proxy.service, host.environment().proxy.upstreams,
                        current && current->upstreams.find("proxy_connect_timeout") != std::string::npos};
    auto planned = plan_rollback(target, proxy, observed, options);
    if (current) result.previous = fmt::format("{} (release {})", current->version, current->number);
    const auto ahead = schema_ahead(current, target);
    for (const auto& name : ahead) {
      planned.plan.warnings.push_back(fmt::format("the database stays ahead: migration {} is not known to {}", name, target.version));
    }
    if (!ahead.empty()) {
      planned.plan.warnings.push_back(fmt::format("nothing is taken back by itself; the data as it was before: codops restore {} BACKUP (codops backup list {})",
                                                  host.environment().name, host.environment().name));
    }
    result.plan_text = plan_text(host, planned, current);
    result.run.plan = planned.plan;
    result.run.no_op = planned.plan.empty();
    if (planned.plan.empty() && !planned.kept_data.empty()) {
      throw Failure{Exit::failed,
                    fmt::format("release {} ({}) differs from what serves in {} alone, and a rollback never touches data", target.number, target.version, fmt::join(planned.kept_data, ", ")),
                    fmt::format("nothing was changed; set the old definition in the compose file, then: codops deploy {} {} --allow-downtime", host.environment().name, target.version)};
    }
    return planned;
  };
  if (request.dry_run) {
    const auto observed = observe(host.api(), host.store(), host.project(), host.environment().proxy.upstreams, limits);
    host.require_owner(observed.snapshot);
    require_no_maintenance(host, observed, options.verb);
    plan_for(observed, "dry-run");
    return result;
  }
  Transaction transaction{host, request.command, {request.lock_wait}, limits};
  if (!request.to && was_rolled_back(transaction.recovery())) return rolled_back_already(transaction.recovery(), serving(transaction.observed(), host.project()));
  require_no_maintenance(host, transaction.observed(), options.verb);
  auto waited = transaction.waited();
  transaction.choose_subnet(limits);
  const auto planned = plan_for(transaction.observed(), transaction.token());
  if (planned.plan.empty()) return result;
  Desired desired;
  desired.networks = networks_of(planned.next);
  release::Specs present;
  const auto current = serving(transaction.observed(), host.project());
  in_parallel({[&] { desired.specs = host.store().load_specs(planned.next, limits); },
               [&] {
                 if (current) present = host.store().load_specs(*current, limits);
               }});
  // Data goes with the present definition, whatever the old release's was.
  if (current) {
    for (const auto& service : planned.next.services) {
      const auto found = present.find(service.name);
      if (service.role == release::Role::stateful && found != present.end()) desired.specs.insert_or_assign(service.name, found->second);
      // Of a proxy that codops did not make: where users come in.
      if (service.role == release::Role::proxy && !service.has_spec && found != present.end()) desired.specs.try_emplace(service.name, found->second);
    }
  }
  if (request.show) request.show(result.plan_text);
  const auto asked = host.clock().steady();
  require_consent(host, planned, request.allow_downtime, request.confirm);
  waited += elapsed_since(host, asked);
  result.run = transaction.run(planned, desired, {}, limits);
  conclude(host, transaction, began, waited, result.run, limits);
  return result;
}

}  // namespace codops::ops
