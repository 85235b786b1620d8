#pragma once
// What a deploy does beside objects: the backup before it, the migration Jobs, hooks.
#include <optional>
#include <string>
#include <vector>

#include "lib/ops/hooks.hpp"
#include "lib/ops/kubernetes/database.hpp"
#include "lib/ops/kubernetes/observed.hpp"
#include "lib/ops/kubernetes/plan.hpp"
#include "lib/ops/kubernetes/run_context.hpp"

namespace codops::ops::kubernetes {

// Found out while planning; used while running.
struct Companies {
  std::optional<io::postgres::Target> database;  // as the pods reach it
  std::string backup_text;   // empty: none is due
  std::string migrate_text;  // empty: none runs
  std::string warning;
};

Companies plan_companions(Cluster& cluster, const Desired& desired, const Observed& observed, bool with_backup, bool with_migrations, const Limits& limits);
Companions companions_of(Cluster& cluster, const Companies& companies, const Desired& desired, const Planned& planned, const TakeBackup& take_backup);
// post_deploy or on_failure: the deploy itself is over.
AfterHooks run_after_hooks(Cluster& cluster, bool good, const plan::Plan& plan, const std::string& result, const Limits& limits);

}  // namespace codops::ops::kubernetes
