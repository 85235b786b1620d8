#pragma once
// Who owns which field (metadata.managedFields), and how ownership is taken over without changing the object.
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace codops::engine::kubernetes {

// managedFields in which what `managers` own (of the object's own apiVersion, not of a subresource) belongs to `to`, as
// if it had applied it. nullopt: none of them owns anything.
std::optional<nlohmann::json> adopted_fields(const nlohmann::json& live, const std::vector<std::string>& managers, const std::string& to);

}  // namespace codops::engine::kubernetes
