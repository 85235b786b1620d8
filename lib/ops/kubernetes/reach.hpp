#pragma once
// Services that were led elsewhere: until the cluster has followed, and while their new pods are watched beside the old ones.
#include <map>
#include <string>
#include <vector>

#include "lib/ops/kubernetes/run_context.hpp"

namespace codops::ops::kubernetes {

// Until requests to these Services go to just those ready pods that they mean. False: not within `at_most`. Who may not look waits a moment.
bool await_reach(RunContext& context, const std::vector<kube::Object>& services, Milliseconds at_most, const Limits& limits);

// The Services of `objects` get the addresses that they had (kube::address_of, by key), where they can; what can't be had is said.
void restore_addresses(RunContext& context, const std::vector<kube::Object>& objects, const std::map<std::string, std::string>& addresses, const Limits& limits);

}  // namespace codops::ops::kubernetes
