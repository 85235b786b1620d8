#pragma once
// What the change of a Service does to those who answer for it: may it come first, or does it follow its pods?
#include <string>
#include <vector>

#include "lib/kube/object.hpp"

namespace codops::kube {

// One workload, as it is and as it shall be.
struct WorkloadChange {
  Object before;          // live; null: it is new
  Object after;           // null: no longer of the release, and removed after everything else
  bool new_pods{false};   // its template changes, or it is restarted
};

// Another selector, or another target of a port that stays.
bool leads_elsewhere(const Object& live, const Object& wanted);

struct ServiceMove {
  bool follows{false};  // the pods that it newly leads to have to be ready first
  std::string gap;      // why requests fail even so: "service/web: …"; "" where they don't
};
// Ports of pods are judged by containerPort: one that no container names is not answered at.
ServiceMove move_of(const Object& live, const Object& wanted, const std::vector<WorkloadChange>& workloads);

// Pods of it are started that requests can't go to yet.
bool is_started(const WorkloadChange& change);
// Backends of an Ingress or a Gateway's route that `live` does not name: any of these Services?
bool newly_names(const Object& live, const Object& wanted, const std::vector<std::string>& services);

// Whether requests go to just those pods that the Service means and that are ready: by its EndpointSlices, and by the number of the port where the
// Service says one. `pods`: of its namespace with its labels.
bool reaches_its_pods(const Object& service, const std::vector<Object>& slices, const std::vector<Object>& pods);
// "app=web,tier=front"; "" where it means none.
std::string selection_of(const Object& service);

}  // namespace codops::kube
