#pragma once
// What a deploy does beside containers: the backup before it, migrations from the new version, hooks.
#include <optional>
#include <string>
#include <vector>

#include "lib/ops/database.hpp"
#include "lib/ops/hooks.hpp"
#include "lib/ops/requests.hpp"
#include "lib/ops/transaction.hpp"

namespace codops::ops {

// Found out while planning; used while running.
struct Companies {
  std::optional<DatabaseAccess> database;
  std::vector<migrate::File> files;     // of the new version
  std::string backup_text;              // empty: none is due
  std::string migrate_text;             // empty: none is pending
  std::vector<std::string> migrations;  // all that the version knows, for the release's record
  std::vector<std::string> warnings;    // for the plan
};

// The migrations of the new version, which hang on nothing that runs; nullopt: no service of it has a database.
std::optional<std::vector<migrate::File>> migrations_in(Host& host, const Desired& desired, const Limits& limits);
// `files`: what migrations_in() gave, where it was asked already.
Companies plan_companions(Host& host, const Desired& desired, const Observed& observed, bool with_backup, bool with_migrations,
                          std::optional<std::vector<migrate::File>> files, const Limits& limits);
Companions companions_of(Host& host, const Companies& companies, const Planned& planned, const TakeBackup& take_backup);
// post_deploy or on_failure: the deploy itself is over.
AfterHooks run_after_hooks(Host& host, bool good, const plan::Plan& plan, const std::string& result, const Limits& limits);
// Migrations that the present release knows and the target does not, oldest first: what the schema is ahead of.
std::vector<std::string> schema_ahead(const std::optional<release::Release>& current, const release::Release& target);

}  // namespace codops::ops
