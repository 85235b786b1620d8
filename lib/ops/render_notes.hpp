#pragma once
// What a plan says beforehand of a service that is deployed, and otherwise than its owner may think. Changes nothing but notes and warnings.
#include <string>
#include <vector>

#include "lib/compose/model.hpp"
#include "lib/ops/desired.hpp"

namespace codops::ops {

// `asked`: asked_networks() of the service.
void note_names(const compose::Project& project, const compose::Service& service, const std::vector<std::string>& asked, Desired& desired);

// Of a rolling one: how it is known to be ready, addresses, restarts, shared volumes. `checks_itself`: its image has a health check.
void note_readiness(const compose::Service& service, const release::ServiceRecord& record, bool checks_itself, Desired& desired);

// Who shares no network of the compose file meets on the traffic network: what was kept apart no longer is.
void warn_of_lost_walls(const compose::Project& project, Desired& desired);

// A dry run neither pulls nor builds.
void note_unseen_images(Desired& desired);

// Who can't run twice, though nobody asked for it in so many words.
void warn_of_direct_ports(const compose::Project& project, Desired& desired);

}  // namespace codops::ops
