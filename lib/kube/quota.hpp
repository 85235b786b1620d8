#pragma once
// ResourceQuotas beside rollouts that start new pods before old ones go.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/kube/object.hpp"

namespace codops::kube {

// "500m", "1.5", "2Gi", "1e3" in thousandths; nullopt: not a quantity.
std::optional<std::int64_t> quantity_of(std::string_view text);

// Deployments of `rolling` whose first additional pod finds no room in a ResourceQuota, though no old pod goes before it is ready: such a
// rollout can't move. A line for each, with the way out.
std::vector<std::string> without_room(const std::vector<Object>& rolling, const std::vector<Object>& quotas);

}  // namespace codops::kube
