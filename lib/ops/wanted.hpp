#pragma once
// What a request wants: the compose file of a version with its images, or what serves with the change that was asked for. The engine and the
// registry are asked; nothing is decided here and, but for images that are pulled or built, nothing is changed.
#include <chrono>
#include <optional>
#include <vector>

#include "lib/compose/model.hpp"
#include "lib/ops/host.hpp"
#include "lib/ops/images.hpp"
#include "lib/ops/observed.hpp"
#include "lib/ops/requests.hpp"

namespace codops::ops {

// A version's compose file and images, as found before anything was locked.
struct Version {
  compose::Project project;
  std::vector<ImageState> images;  // empty: they are built first
  std::chrono::steady_clock::time_point looked;
};

// Failure as load_compose and find_images have it; Failure{config} where no image changes with the version.
Version find_version(Host& host, const DeployRequest& request, const Limits& limits);
bool needs_pull(const Version& version);
// Whoever had to wait for the lock looks again: an image may have been pruned, a tag may have moved.
bool is_fresh(const Host& host, const Version& version);

// `may_pull`: images are built (where the request says so) and pulled; a dry run does neither.
Desired whole_version(Host& host, const DeployRequest& request, const Version& version, bool may_pull, const Limits& limits);
// The same for any request: without a version it is what serves, scaled, restarted or with one service moved. Failure{usage} for a service that
// there is not or that can't be scaled, Failure{failed} where nothing serves.
Desired desired_for(Host& host, const DeployRequest& request, const std::optional<Version>& version, const Observed& observed, bool may_pull, const Limits& limits);

}  // namespace codops::ops
