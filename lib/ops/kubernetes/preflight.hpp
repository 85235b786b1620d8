#pragma once
// Everything that can fail early fails here, before any change: what the API server says to a dry run of each object, what we may
// do, and what would make the rollout lose requests.
#include <vector>

#include "lib/ops/kubernetes/admission.hpp"
#include "lib/ops/kubernetes/observed.hpp"
#include "lib/ops/kubernetes/plan.hpp"

namespace codops::ops::kubernetes {

// Where so many plain objects change that it will be asked who else may refuse them: asked already beside other questions.
void ask_beside(Admission& admission, Questions& questions, const std::vector<kube::Object>& objects, const Observed& observed);

// By the objects' order. Every refusal at once: Failure{failed} (schema, admission, conflicts of ownership, permissions).
std::vector<Trial> try_objects(Cluster& cluster, const std::vector<kube::Object>& objects, const std::vector<kube::Ref>& later, const Observed& observed,
                               bool force_conflicts, Admission& admission, const Limits& limits);

// Objects that are members of another set, by their label: what another project of codops (or kubectl --applyset) has is refused, and named,
// before anything changes.
void refuse_other_sets(Cluster& cluster, const std::vector<kube::Object>& objects, const Observed& observed, const std::string& hint, const Limits& limits);

// Deployments that somebody paused: pods of theirs would not change, neither now nor on the way back. Failure{failed}, before anything has changed.
void refuse_paused(const Planned& planned, const Observed& observed);

// Rollouts that a full ResourceQuota would stop, as warnings of the plan.
void warn_of_quotas(Cluster& cluster, Planned& planned, const Limits& limits);

// May we do what the plan does? Failure{failed} with every permission that is missing.
void require_permissions(Cluster& cluster, const Planned& planned, const Limits& limits);

}  // namespace codops::ops::kubernetes
