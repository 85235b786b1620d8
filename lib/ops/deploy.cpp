#include "lib/ops/deploy.hpp"

#include <fmt/format.h>

#include "lib/ops/companions.hpp"
#include "lib/ops/observe.hpp"
#include "lib/ops/preflight.hpp"
#include "lib/ops/wanted.hpp"

namespace codops::ops {
namespace {

PlanOptions options_for(const Host& host, const DeployRequest& request, const std::string& token) {
  const auto& environment = host.environment();
  PlanOptions options;
  options.verb = request.verb;
  options.force = request.force || request.verb == "restart";
  options.scale = request.scale;
  options.only = request.restart;
  for (const auto& [service, version] : request.services) options.only.push_back(service);
  options.monitor = environment.monitor;
  options.old_set_running = environment.old_set == settings::OldSet::running;
  options.token = token;
  if (request.verb == "deploy") {
    for (const auto& hook : environment.hooks.pre_deploy) options.pre_hooks.push_back(hook.shown);
  }
  return options;
}

Planned planned_for(Host& host, const DeployRequest& request, const Desired& desired, const Observed& observed, const std::string& token,
                    const Companies& companies, const Limits& limits) {
  auto options = options_for(host, request, token);
  if (request.verb == "deploy") {
    options.backup = companies.backup_text;
    options.migrate = companies.migrate_text;
  }
  auto planned = plan_deploy(desired, observed, options);
  const auto current = serving(observed, host.project());
  planned.next.migrations = request.verb == "deploy" && !companies.migrations.empty() ? companies.migrations
                            : current                                                ? current->migrations
                                                                                     : std::vector<std::string>{};
  planned.plan.warnings.insert(planned.plan.warnings.end(), companies.warnings.begin(), companies.warnings.end());
  preflight(host, desired, observed, planned, limits);
  return planned;
}

}  // namespace

void conclude(Host& host, Transaction& transaction, std::chrono::steady_clock::time_point began, Milliseconds waited, RunResult& run, const Limits& limits) {
  if (run.exit == Exit::ok) run.engine_time["remove"] += transaction.prune(limits);
  run.waited = waited;
  run.elapsed = elapsed_since(host, began);
}

Milliseconds elapsed_since(const Host& host, std::chrono::steady_clock::time_point start) {
  return std::chrono::duration_cast<Milliseconds>(host.clock().steady() - start);
}

void require_version(const std::string& version) {
  const auto good = [](char c, bool first) {
    const bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    return word || (!first && (c == '.' || c == '-'));
  };
  bool valid = !version.empty() && version.size() <= 128;
  for (std::size_t index = 0; valid && index < version.size(); ++index) valid = good(version[index], index == 0);
  if (valid) return;
  throw Failure{Exit::usage, fmt::format("\"{}\" is no version: it can't be an image's tag", version),
                "letters, digits, \"_\", \".\" and \"-\", at most 128, not beginning with \".\" or \"-\""};
}

void require_no_maintenance(const Host& host, const Observed& observed, const std::string& verb) {
  if (!observed.snapshot.maintenance) return;
  throw Failure{Exit::failed, fmt::format("maintenance is on: {} would lead the front to the application, and nothing could prove it behind the page", verb),
                fmt::format("nothing was changed; codops maintenance {} off, then again", host.environment().name)};
}

void require_consent(const Host& host, const Planned& planned, bool allow_downtime, const std::function<bool(const std::string&)>& confirm) {
  const bool down = !planned.plan.downtime.empty();
  if (down && !allow_downtime) {
    if (!confirm || !confirm(fmt::format("{} has downtime ({}). Go on?", planned.plan.verb, fmt::join(planned.plan.downtime, "; ")))) {
      throw Failure{Exit::failed, fmt::format("this {} has downtime: {}", planned.plan.verb, fmt::join(planned.plan.downtime, "; ")),
                    "nothing was changed; --allow-downtime accepts it"};
    }
  }
  if (!host.environment().protected_) return;
  if (!confirm || !confirm(fmt::format("{} {} to {}?", planned.plan.verb, planned.plan.version, host.environment().name))) {
    throw Failure{Exit::failed, "not confirmed", "nothing was changed; --yes confirms without asking"};
  }
}

DeployResult deploy(Host& host, const DeployRequest& request, const Limits& limits) {
  DeployResult result;
  const auto began = host.clock().steady();
  result.dry_run = request.dry_run;
  if (request.services.empty() && request.verb == "deploy") require_version(request.version);
  const auto finish = [&](const Planned& planned, const Observed& observed) {
    const auto current = serving(observed, host.project());
    if (current) result.previous = fmt::format("{} (release {})", current->version, current->number);
    result.plan_text = plan_text(host, planned, current);
    result.run.plan = planned.plan;
    result.run.no_op = planned.plan.empty();
    if (planned.current) result.data_alone = differ_in_data_alone(*planned.current, planned.next);
  };
  std::optional<std::vector<migrate::File>> files;
  const auto companies_for = [&](const Observed& observed, const Desired& desired) {
    if (request.verb != "deploy") return Companies{};
    return plan_companions(host, desired, observed, !request.skip_backup && request.take_backup != nullptr, !request.skip_migrate, std::move(files), limits);
  };
  // What is wrong with files and arguments is found before anything is locked.
  std::optional<Version> version;
  if (request.verb == "deploy" && request.services.empty()) version = find_version(host, request, limits);
  if (request.dry_run) {
    const auto observed = observe(host.api(), host.store(), host.project(), host.environment().proxy.upstreams, limits);
    host.require_owner(observed.snapshot);
    require_no_maintenance(host, observed, request.verb);
    const auto desired = desired_for(host, request, version, observed, false, limits);
    const auto companies = companies_for(observed, desired);
    finish(planned_for(host, request, desired, observed, "dry-run", companies, limits), observed);
    return result;
  }
  // Where the images are there already, the version is read while what runs is looked at. What fails is met again where it is needed.
  std::optional<Desired> early;
  const auto read_version = [&] {
    if (!version || request.build || !is_fresh(host, *version) || needs_pull(*version)) return;
    try {
      early = whole_version(host, request, *version, false, limits);
      if (!request.skip_migrate && host.environment().migrate.enabled) files = migrations_in(host, *early, limits);
    } catch (const Failure&) {
    }
  };
  Transaction transaction{host, request.command, {request.lock_wait}, limits, RecoveryWay::in_passing, read_version};
  require_no_maintenance(host, transaction.observed(), request.verb);
  auto waited = transaction.waited();
  const auto images = host.clock().steady();
  const auto desired = early ? std::move(*early) : desired_for(host, request, version, transaction.observed(), true, limits);
  if (request.build || (version && needs_pull(*version))) waited += elapsed_since(host, images);
  transaction.choose_subnet(limits);
  const auto companies = companies_for(transaction.observed(), desired);
  const auto planned = planned_for(host, request, desired, transaction.observed(), transaction.token(), companies, limits);
  finish(planned, transaction.observed());
  if (planned.plan.empty()) return result;
  if (request.show) request.show(result.plan_text);
  const auto asked = host.clock().steady();
  require_consent(host, planned, request.allow_downtime, request.confirm);
  waited += elapsed_since(host, asked);
  result.run = transaction.run(planned, desired, companions_of(host, companies, planned, request.take_backup), limits);
  conclude(host, transaction, began, waited, result.run, limits);
  return result;
}

}  // namespace codops::ops
