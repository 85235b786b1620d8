#pragma once
// What a version of the application should look like in the cluster: the manifests with the version in them, placed, pinned, in order.
#include <optional>
#include <string>
#include <vector>

#include "lib/kube/images.hpp"
#include "lib/kube/object.hpp"
#include "lib/kube/order.hpp"
#include "lib/ops/kubernetes/cluster.hpp"
#include "lib/ops/kubernetes/observed.hpp"
#include "lib/release/release.hpp"

namespace codops::ops::kubernetes {

// A Job with this annotation and the value "migrate" is no object of the release: each deploy runs it under a name of its own before
// anything of the new version serves.
inline constexpr const char* phase_annotation = "codops.dev/phase";

struct Desired {
  std::string version;
  std::vector<kube::Object> objects;     // in the order of applying; members of the set
  std::vector<kube::Object> migrations;  // Jobs
  std::vector<kube::ContainerImage> images;  // of both, as pinned
  std::map<std::string, std::string> digests;  // image as pinned → digest
  std::vector<release::ServiceRecord> services;  // of the workloads among the objects, in their order
  std::vector<kube::Ref> later;          // kinds that only exist once a CRD of this very set is established
  std::vector<std::string> notes, warnings;
};

// Failure{config} for what is wrong with the files, with positions; also when no image changes with the version.
Desired load_desired(Cluster& cluster, const std::string& version, const Limits& limits);

// Numbers of replicas that an autoscaler says are left open (kube::drop_scaled_replicas). Returns whose.
std::vector<kube::Ref> leave_scaled(const Cluster& cluster, std::vector<kube::Object>& objects, const Observed& observed, std::vector<kube::Object> autoscalers);
// Counts that are not the manifest's business: an autoscaler's, and those that `codops scale` gave while the manifest's own value
// stays what it was then. Also makes the records of the workloads.
void settle_replicas(const Cluster& cluster, Desired& desired, const Observed& observed, std::vector<kube::Object> autoscalers);
// The live autoscalers where workloads of `objects` are that may have one: somebody may have made it by hand.
void ask_about_autoscalers(Questions& questions, const std::vector<kube::Object>& objects, std::vector<kube::Object>& autoscalers);

// Names an object in plans and records: "apps/Deployment/shop/backend".
std::string key_of(const kube::Object& object);

// The objects of a recorded release, in the order of applying. Failure{data} when they can't be read.
std::vector<kube::Object> objects_of(const release::Specs& specs);
// Live objects that no release had on record when this one was deployed, as they were before it.
std::vector<kube::Object> before_of(const release::Specs& specs);
release::Specs specs_of(const std::vector<kube::Object>& objects, const std::vector<kube::Object>& before);

// One for each workload, for the release's record: name, image, replicas as configured.
std::vector<release::ServiceRecord> services_of(const std::vector<kube::Object>& objects, const std::map<std::string, std::string>& digests);

// The name that people use for a workload: its own; with the kind before it where two kinds share it.
std::vector<std::string> workload_names(const std::vector<kube::Object>& objects);
// Failure{usage} names what there is.
const kube::Object& workload_named(const std::vector<kube::Object>& objects, const std::string& name);

}  // namespace codops::ops::kubernetes
