#pragma once
// Whether requests to a Service of a release reach a pod of it.
#include <string>
#include <vector>

#include "lib/kube/object.hpp"

namespace codops::kube {

// The Service's selector means pods of that workload. ExternalName and Services without a selector mean none.
bool is_led_to(const Object& service, const Object& workload);

// Endpoints of the EndpointSlices of that Service that take requests.
int ready_endpoints(const Object& service, const std::vector<Object>& slices);

// What was changed by hand: "its selector is app=nope, not app=web", "its ports were changed".
std::vector<std::string> service_drift(const Object& wanted, const Object& live);

}  // namespace codops::kube
