#include "lib/ops/companions.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/migrate/lint.hpp"
#include "lib/migrate/migrate.hpp"
#include "lib/migrate/splitter.hpp"

namespace codops::ops {
namespace {

constexpr Milliseconds database_wait{60'000};

migrate::Options migrate_options(const Host& host, const std::string& version) {
  const auto& settings = host.environment().migrate;
  migrate::Options options;
  options.layout = migrate::layout_named(settings.source);
  options.subject = host.environment().name;
  if (version.find(' ') == std::string::npos) options.subject += " " + version;  // else services of several versions
  options.lock_wait = settings.lock_wait;
  options.lock_timeout = settings.lock_timeout;
  options.statement_timeout = settings.statement_timeout;
  const auto disabled = host.shell().find("PRISMA_SCHEMA_DISABLE_ADVISORY_LOCK");
  options.take_lock = disabled == host.shell().end() || !migrate::lock_disabled_by(disabled->second.c_str());
  return options;
}

// With a container that runs, or a database elsewhere; a new one is not there to be asked yet.
bool can_be_asked(const DatabaseAccess& access, const Observed& observed) {
  if (access.container.empty()) return true;
  const auto* container = observed.container(access.container);
  return container != nullptr && container->running();
}

// Names as far as a line of the plan has room for them.
std::string pending_text(const std::vector<migrate::Migration>& pending) {
  if (pending.empty()) return {};
  constexpr std::size_t most_columns = 30;
  std::string names;
  std::size_t shown = 0;
  for (; shown < pending.size(); ++shown) {
    const auto more = (names.empty() ? "" : ", ") + pending[shown].name;
    if (names.size() + more.size() > most_columns) break;
    names += more;
  }
  if (shown == 0) {
    const auto& name = pending[shown++].name;
    names = name.substr(0, migrate::offset_of_character(name, most_columns)) + "…";
  }
  if (shown < pending.size()) names += ", …";
  return fmt::format("{} migration{} ({})", pending.size(), pending.size() == 1 ? "" : "s", names);
}

std::optional<std::string> migrations_of_checkout(const settings::Environment& environment) {
  for (const auto* folder : {"prisma/migrations", "backend/prisma/migrations", "db/migrations"}) {
    if (std::filesystem::is_directory(environment.directory / folder)) return folder;
  }
  return std::nullopt;
}

// migrate.strict: what lint finds in pending files stops a deploy.
void require_clean(const Host& host, const std::vector<migrate::Migration>& pending, const std::string& subject) {
  if (!host.environment().migrate.strict) return;
  std::vector<migrate::Finding> findings;
  const migrate::LintOptions rules{false, migrate::constrained_domains(pending), {}};
  for (const auto& migration : pending) {
    for (auto& finding : migrate::lint(migration, rules)) findings.push_back(std::move(finding));
  }
  const auto open = migrate::open_findings(findings, migrate::Severity::warning);
  if (open == 0) return;
  const auto first = std::find_if(findings.begin(), findings.end(), [](const auto& finding) {
    return !finding.suppressed && migrate::lint_rule(finding.rule).severity >= migrate::Severity::warning;
  });
  throw Failure{Exit::data, fmt::format("lint has {} findings in pending migrations, and migrate.strict is on; the first: {}:{}: {} [{}]", open, first->path, first->line,
                                        first->message, first->rule),
                fmt::format("codops migrate lint {}", subject)};
}

const release::ServiceRecord* migrating(const Desired& desired, const DatabaseAccess& database) {
  const auto service = std::find_if(desired.services.begin(), desired.services.end(), [&](const auto& one) { return one.name == database.service; });
  return service == desired.services.end() || service->image_id.empty() ? nullptr : &*service;
}

void plan_migrations(Host& host, const Desired& desired, const Observed& observed, Companies& companies, std::optional<std::vector<migrate::File>> files,
                     const Limits& limits) {
  const auto* service = migrating(desired, *companies.database);
  if (service == nullptr) return;
  companies.files = files ? std::move(*files) : migrations_of(host, *service, limits);
  if (companies.files.empty()) {
    if (const auto folder = migrations_of_checkout(host.environment())) {
      companies.warnings.push_back(fmt::format("the image of \"{}\" has no migrations, so none are applied, although the checkout has {}: "
                                               "migrate: {{image_path: FOLDER}} or {{path: {}}} in codops.yaml",
                                               service->name, *folder, *folder));
    }
    return;
  }
  const auto options = migrate_options(host, desired.version);
  const auto source = migrate::recognise(companies.files, options.layout);
  for (const auto& migration : source.migrations) companies.migrations.push_back(migration.name);
  if (!can_be_asked(*companies.database, observed)) {
    require_clean(host, source.migrations, options.subject);
    companies.migrate_text = pending_text(source.migrations);
    return;
  }
  reach(host, *companies.database, limits);
  auto connection = io::postgres::Connection::open_when_ready(companies.database->target, limits.within(database_wait));
  const auto pending = migrate::pending(companies.files, connection, options, limits);
  require_clean(host, pending, options.subject);
  companies.migrate_text = pending_text(pending);
}

}  // namespace

std::optional<std::vector<migrate::File>> migrations_in(Host& host, const Desired& desired, const Limits& limits) {
  release::Release wanted;
  wanted.services = desired.services;
  const auto database = find_database(host, desired, wanted);
  const auto* service = database ? migrating(desired, *database) : nullptr;
  if (service == nullptr) return std::nullopt;
  return migrations_of(host, *service, limits);
}

Companies plan_companions(Host& host, const Desired& desired, const Observed& observed, bool with_backup, bool with_migrations,
                          std::optional<std::vector<migrate::File>> files, const Limits& limits) {
  Companies companies;
  release::Release wanted;
  wanted.services = desired.services;
  // The database's container is the one that serves; on the first deploy its name is decided later.
  const auto current = serving(observed, desired.project);
  for (auto& service : wanted.services) {
    if (const auto* now = current ? current->service(service.name) : nullptr) service.members = now->members;
  }
  companies.database = find_database(host, desired, wanted);
  if (!companies.database) return companies;
  const bool there = can_be_asked(*companies.database, observed) && current.has_value();
  if (with_backup && there && host.environment().backup.before_deploy) {
    companies.backup_text = fmt::format("\"{}\" to {}, verified", companies.database->inside.database, host.environment().backup.store);
  }
  if (with_migrations && host.environment().migrate.enabled) {
    // A database that is only just being made by this deploy can't be asked, although its URL names a host.
    if (!current) {
      const auto& name = companies.database->inside.host;
      const bool own = std::any_of(wanted.services.begin(), wanted.services.end(), [&](const auto& service) { return service.name == name; });
      if (own) companies.database->container = "made by this deploy";
    }
    plan_migrations(host, desired, observed, companies, std::move(files), limits);
  }
  return companies;
}

Companions companions_of(Host& host, const Companies& companies, const Planned& planned, const TakeBackup& take_backup) {
  Companions companions;
  auto access = companies.database;
  if (access) {
    const auto* database = planned.next.service(access->inside.host);
    if (!host.environment().database.service.empty()) database = planned.next.service(host.environment().database.service);
    access->container = database != nullptr && !database->members.empty() ? database->members.front().container : std::string{};
  }
  companions.pre_hook = [&host, version = planned.plan.version, next = planned.next, token = planned.plan.run](std::size_t index, const Limits& limits) {
    return run_hook(host, host.environment().hooks.pre_deploy.at(index), {"pre_deploy", version, next.number, "running", token}, next, true, limits);
  };
  companions.backup = [&host, access, take_backup](const Limits& limits) {
    if (!take_backup || !access) throw Failure{Exit::bug, "a backup is planned and nothing takes it"};
    auto reachable = *access;
    reach(host, reachable, limits);
    return take_backup({reachable.target, reachable.container.empty() ? nullptr : &host.containers(), reachable.container}, limits);
  };
  companions.migrate = [&host, access, version = planned.plan.version, files = companies.files](const Limits& limits) {
    auto reachable = *access;
    reach(host, reachable, limits);
    auto connection = io::postgres::Connection::open_when_ready(reachable.target, limits.within(database_wait));
    const auto outcome = migrate::apply(files, connection, migrate_options(host, version), host.reporter(), limits);
    return fmt::format("{} applied", outcome.applied.size());
  };
  return companions;
}

AfterHooks run_after_hooks(Host& host, bool good, const plan::Plan& plan, const std::string& result, const Limits& limits) {
  const auto& hooks = good ? host.environment().hooks.post_deploy : host.environment().hooks.on_failure;
  if (hooks.empty()) return {};
  const auto next = release::release_from_json(nlohmann::json::parse(plan.context).at("next").dump());
  const std::string event = good ? plan::post_deploy : plan::on_failure;
  return run_each(hooks, event, [&](const settings::Hook& hook) { run_hook(host, hook, {event, plan.version, plan.release, result, plan.run}, next, false, limits); }, limits);
}

std::vector<std::string> schema_ahead(const std::optional<release::Release>& current, const release::Release& target) {
  std::vector<std::string> ahead;
  // A release without migrations on record says nothing about the schema.
  if (!current || target.migrations.empty()) return ahead;
  for (const auto& name : current->migrations) {
    if (std::find(target.migrations.begin(), target.migrations.end(), name) == target.migrations.end()) ahead.push_back(name);
  }
  return ahead;
}

}  // namespace codops::ops
