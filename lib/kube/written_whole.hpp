#pragma once
// One-of fields (httpGet or tcpSocket, value or valueFrom): who writes one branch does not take away the other that somebody else owns, and the
// server refuses an object with both. Then the pods' template is written whole.
#include <optional>

#include "lib/kube/object.hpp"

namespace codops::kube {

// Somebody beside codops has written into the pods' template of `live`.
bool others_wrote_pods(const Object& live);
// `live` with the template of `wanted`, and over it what else `wanted` says; for a replace, guarded by resourceVersion. nullopt: it has no
// template, or nobody else wrote into it.
std::optional<Object> written_whole(const Object& live, const Object& wanted);
// Of what has pods and is no Job: somebody beside codops owns a field of the spec that `record` does not have, or has with another value. To go
// back by the record would not bring back what there was.
bool others_changed(const Object& live, const Object& record);

}  // namespace codops::kube
