#pragma once
// What a deploy does beside containers: the backup before it, migrations from the new version, hooks and notifications.
#include <string>
#include <vector>

#include "lib/ops/transaction.hpp"

namespace codops::ops {

// Found out while planning; used while running.
struct Companies {
  std::string backup_text;   // empty: none is due
  std::string migrate_text;  // empty: none is pending
  std::vector<std::string> migrations;  // newest known to the version, for the release's record
};

Companies plan_companions(Host& host, const Desired& desired, const Observed& observed, const Limits& limits);
Companions companions_of(Host& host, const Companies& companies, const Planned& planned);
// post_deploy or on_failure; a failing one is a warning: the deploy itself is over.
void run_after_hooks(Host& host, const RunResult& run, const Limits& limits);
// Migrations that the database has and the target release does not know, newest last.
std::vector<std::string> schema_ahead(Host& host, const release::Release& target, const Observed& observed, const Limits& limits);

}  // namespace codops::ops
