#pragma once
// From the engine's JSON to types.hpp: pure, so that recorded answers test it.
#include <nlohmann/json_fwd.hpp>

#include "lib/engine/docker/types.hpp"

namespace codops::engine::docker {

RunState run_state(std::string_view state);
HealthState health_state(std::string_view health);
// The list has no field for health, only "Up 2 minutes (healthy)".
HealthState health_in_status(std::string_view status);

// The limits in a HostConfig, asked for or observed, that `docker update` can change. Left out: what is not set, and the swap that an
// engine sets by itself (twice the memory; -1 where its kernel does not account for swap).
std::map<std::string, std::string> resource_limits(const nlohmann::json& host);

ContainerSummary container_summary(const nlohmann::json& value);
ContainerDetails container_details(nlohmann::json value);
NetworkDetails network_details(const nlohmann::json& value);
VolumeDetails volume_details(const nlohmann::json& value);
ImageDetails image_details(nlohmann::json value);
ImageSummary image_summary(const nlohmann::json& value);
DistributionInfo distribution_info(const nlohmann::json& value);
EngineEvent engine_event(const nlohmann::json& value);

}  // namespace codops::engine::docker
