#pragma once
// A compose service as the body of POST /containers/create (API 1.40 on). Image, Labels of the run, networks and files
// that travel are the caller's; everything else of the service is here.
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>

#include "lib/compose/model.hpp"

namespace codops::engine::docker {

struct BodyOptions {
  std::set<std::string> left_out_mounts;  // targets of bind mounts whose content travels as files
};

nlohmann::json create_body(const compose::Project& project, const compose::Service& service, const BodyOptions& options);

// "no", "always", "unless-stopped", "on-failure:3": of `restart` or deploy.restart_policy.
std::string restart_policy_of(const compose::Service& service);

// The image as compose names it: `image`, else PROJECT-SERVICE for one that is built.
std::string image_of(const compose::Project& project, const compose::Service& service);

}  // namespace codops::engine::docker
