#pragma once
// A Job that runs once, watched from its creation to the end of its only pod, its output line by line.
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "lib/kube/rollout.hpp"
#include "lib/ops/kubernetes/cluster.hpp"

namespace codops::ops::kubernetes {

struct JobEnd {
  int exit_code{};
  bool out_of_memory{false};
  bool deadline{false};         // activeDeadlineSeconds ran out
  std::string start_error;      // the runtime's words when the command could not be started at all
  std::string pod, container;
  std::vector<std::string> last_lines;
};

// The line, and whether it had its end: only the very last one may have none.
using EachLine = std::function<void(std::string_view line, bool ended)>;
// The pod's container runs, or has run already.
using Started = std::function<void(const std::string& pod, const std::string& container)>;

// Makes it (one of that name is taken for this very one) and follows it. Failure{failed} with the reason when its pod can't run at all;
// `trouble` then says where the evidence is. Cancelled or past the deadline, the Job is removed with its pod.
JobEnd run_job(Cluster& cluster, const kube::Object& job, const EachLine& each, std::vector<kube::Trouble>& troubles, const Limits& limits, const Started& started = {});

// Background, so that its pods go as well. Absent is fine.
void remove_job(Cluster& cluster, const kube::Object& job, const Limits& limits);

// Jobs that belong to no release: those of `run`, and migrations; ended or not.
std::vector<kube::Object> jobs_beside(Cluster& cluster, const std::set<std::string>& namespaces, const Limits& limits);

inline constexpr const char* run_label = "codops.dev/run";       // of a `run`'s Job and pod: the project
inline constexpr const char* client_note = "codops.dev/client";  // which process waits for it
// This process, for that annotation.
std::string client_text();
// Of Jobs of `run` that are still at work though nobody waits for them any more: "job/codops-run-… of alice on laptop". Who waits on another
// machine can't be looked at, and is taken to be there.
std::vector<kube::Object> abandoned_runs(Cluster& cluster, const Limits& limits);

// A release's own migration Job: a name that no other deploy has, one attempt, an end.
kube::Object migration_job(const kube::Object& manifest, int release, const std::string& project);

// Migrations of runs that died, were cancelled or lost their lock: ends each and waits until no pod of it is left, for two at once would
// change the same tables. Failure{failed} when one does not go.
void end_migrations(Cluster& cluster, const std::set<std::string>& namespaces, const Limits& limits);

}  // namespace codops::ops::kubernetes
