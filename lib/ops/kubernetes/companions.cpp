#include "lib/ops/kubernetes/companions.hpp"

#include <fmt/format.h>

#include "lib/ops/database.hpp"
#include "lib/ops/hooks.hpp"
#include "lib/ops/kubernetes/job.hpp"
#include "lib/ops/kubernetes/one_off.hpp"
#include "lib/ops/kubernetes/release_secrets.hpp"

namespace codops::ops::kubernetes {
namespace {

constexpr Milliseconds secrets_time{5000};

std::string database_variable(const settings::Environment& environment) {
  return environment.database.url_variable.empty() ? "DATABASE_URL" : environment.database.url_variable;
}

int port_of(const io::postgres::Target& target) { return target.port.empty() ? 5432 : std::atoi(target.port.c_str()); }

std::string run_migrations(RunContext& context, const std::vector<kube::Object>& manifests, const Limits& limits) {
  std::string text;
  context.migrations = by_key(manifests);
  const auto secrets = secrets_of(context);
  std::set<std::string> namespaces;
  for (const auto& manifest : manifests) namespaces.insert(manifest.namespace_());
  end_migrations(context.cluster, namespaces, limits);
  for (const auto& manifest : manifests) {
    const auto job = migration_job(manifest, context.next.number, context.cluster.project());
    // Each line stays: a step's progress would show the last one alone.
    const auto end = run_job(context.cluster, job, [&](std::string_view line, bool) { context.cluster.reporter().note(secrets.hide(fmt::format("{}: {}", job.name(), line))); }, context.troubles, limits);
    if (end.exit_code != 0) {
      if (!end.start_error.empty()) throw Failure{Exit::failed, fmt::format("job/{}: container \"{}\" could not start: {}", job.name(), end.container, end.start_error)};
      throw Failure{Exit::failed, fmt::format("job/{}: container \"{}\" exited with {}{}", job.name(), end.container, end.exit_code,
                                              end.out_of_memory ? ", out of memory" : end.deadline ? ", its activeDeadlineSeconds ran out" : ""),
                    fmt::format("its pod stays for a while: kubectl -n {} logs {}", job.namespace_(), end.pod)};
    }
    text += fmt::format("{}{} done", text.empty() ? "" : " · ", job.name());
  }
  return text;
}

std::string run_hook(Cluster& cluster, const settings::Hook& hook, const HookFacts& facts, const std::function<KnownSecrets()>& secrets, const Limits& limits) {
  const auto& name = hook.shown;
  const auto variables = hook_variables(facts, cluster.environment().name);
  const auto within = limits.within(hook.timeout);
  if (hook.service.empty()) {
    return run_local_hook(hook, variables, cluster.environment(), cluster.shell(), {"KUBECONFIG"}, secrets, within);
  }
  const int code = run_one_off(cluster, {hook.service, hook.run, variables, false}, {}, within);
  if (code != 0) throw Failure{Exit::failed, fmt::format("hook \"{}\" in {} exited with {}", name, hook.service, code)};
  return name;
}

// What a backup that is due comes to where nothing says what to back up: refused where there is a database for certain, a word where there
// may be one, nothing for an application without.
std::string without_database(const std::vector<kube::Object>& objects, bool migrates, const settings::Environment& environment, const std::vector<std::string>& unread) {
  const auto why = fmt::format("no workload's environment has {} or its pieces{}{}", database_variable(environment), unread.empty() ? "" : "; not read: ", fmt::join(unread, ", "));
  if (!migrates && !holds_postgres(objects)) return unread.empty() ? std::string{} : fmt::format("no backup before this deploy: {}", why);
  throw Failure{Exit::config, fmt::format("backup.before_deploy is on, and nothing says which database to back up: {}", why),
                fmt::format("nothing was changed; name the variable: database: {{url_variable: NAME}}; or deploy without one: --skip-backup, for good: environments.{}.backup.before_deploy: false", environment.name)};
}

}  // namespace

Companies plan_companions(Cluster& cluster, const Desired& desired, const Observed& observed, bool with_backup, bool with_migrations, const Limits& limits) {
  const auto& environment = cluster.environment();
  Companies companies;
  if (with_migrations && environment.migrate.enabled && !desired.migrations.empty()) {
    std::vector<std::string> names;
    for (const auto& job : desired.migrations) names.push_back(job.name());
    companies.migrate_text = fmt::format("job {}, out of the new version", fmt::join(names, ", "));
  }
  if (!with_backup || !environment.backup.before_deploy || observed.snapshot.current() == nullptr) return companies;
  // What serves is what is backed up, whatever the manifests say by now.
  LiveObjects live{cluster, limits};
  const ReadLive read = std::ref(live);
  auto named = database_of(observed.current_objects, database_variable(environment), environment.migrate.service, read);
  if (!named) named = database_in_pieces(observed.current_objects, environment.migrate.service, false, read);
  if (!named) {
    companies.warning = without_database(observed.current_objects, !desired.migrations.empty(), environment, live.unread());
    return companies;
  }
  companies.database = io::postgres::parse_target(named->url, fmt::format("{} of {}", database_variable(environment), named->workload));
  const auto& host = companies.database->host;
  if (!pod_behind(cluster, host, port_of(*companies.database), limits)) {
    // A backup that was asked for is not left out because its database happens to be away.
    if (service_of(cluster, host, limits)) {
      throw Failure{Exit::unavailable, fmt::format("the backup before this deploy can't be taken: no pod behind the service \"{}\" is ready", host),
                    fmt::format("nothing was changed; codops status {} shows why, --skip-backup deploys without one", environment.name)};
    }
    companies.warning = fmt::format("no backup before this deploy: the database's host \"{}\" is no service of the cluster", host);
    return companies;
  }
  companies.backup_text = fmt::format("\"{}\" to {}, verified", companies.database->database, environment.backup.store);
  return companies;
}

Companions companions_of(Cluster& cluster, const Companies& companies, const Desired& desired, const Planned& planned, const TakeBackup& take_backup) {
  Companions companions;
  companions.pre_hook = [&cluster, version = planned.plan.version, release = planned.plan.release, objects = by_key(desired.objects)](std::size_t index, const Limits& limits) {
    return run_hook(cluster, cluster.environment().hooks.pre_deploy.at(index), {"pre_deploy", version, release, "running", {}},
                    [&] { return secrets_of(cluster, objects); }, limits);
  };
  companions.migrate = [jobs = desired.migrations](RunContext& context, const Limits& limits) { return run_migrations(context, jobs, limits); };
  companions.backup = [&cluster, database = companies.database, take_backup](const Limits& limits) {
    if (!take_backup || !database) throw Failure{Exit::bug, "a backup is planned and nothing takes it"};
    auto target = *database;
    const auto pod = pod_behind(cluster, target.host, port_of(target), limits);
    if (!pod) throw Failure{Exit::unavailable, fmt::format("no pod behind the service \"{}\" is ready any more", target.host)};
    const auto way = cluster.dialer().dial(pod->container, static_cast<std::uint16_t>(port_of(target)), limits);
    go_by(*way, target);
    return take_backup({target, &cluster.containers(), pod->container}, limits);
  };
  return companions;
}

AfterHooks run_after_hooks(Cluster& cluster, bool good, const plan::Plan& plan, const std::string& result, const Limits& limits) {
  const auto secrets = [&] { return secrets_of(cluster, by_key(objects_of(cluster.store().find_specs(plan.release, Limits{}.within(secrets_time))))); };
  const std::string event = good ? plan::post_deploy : plan::on_failure;
  return run_each(good ? cluster.environment().hooks.post_deploy : cluster.environment().hooks.on_failure, event,
                  [&](const settings::Hook& hook) { run_hook(cluster, hook, {event, plan.version, plan.release, result, {}}, secrets, limits); }, limits);
}

}  // namespace codops::ops::kubernetes
