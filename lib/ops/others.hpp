#pragma once
// Containers of the project that others made: docker compose, somebody's hands. What codops makes carries its run's label.
#include <string>
#include <vector>

#include "lib/ops/observed.hpp"

namespace codops::ops {

bool made_by_others(const ObservedContainer& container);
// Whether nothing but what runs tells of the service: its containers are others', and no record took them over yet.
bool is_of_others(const release::ServiceRecord& service);

// What others started of a service and is up, beside the release's own containers.
std::vector<const ObservedContainer*> others_beside(const Observed& observed, const release::Release& release, const std::string& service);
// What is known of a service, with such containers as its members: never empty.
release::ServiceRecord as_started(release::ServiceRecord known, const std::vector<const ObservedContainer*>& containers);

// Whether every container of the release was removed and others' run instead (`docker compose up` makes all of them anew).
bool is_replaced(const release::Release& release, const Observed& observed);
// The release with others' containers where they stand in for its own of services that can't run twice. Rolling services keep theirs: what
// others started of them leaves once a new set serves.
release::Release with_stand_ins(release::Release release, const Observed& observed);
// The same for services that the release does not know and `wanted` does.
void add_unrecorded(release::Release& release, const std::vector<release::ServiceRecord>& wanted, const Observed& observed);
// Data that a deploy or rollback left running, because its release does not have it, and `wanted` has: told by its labels, for its own
// release may be pruned. Lines for people. Two of one service are nobody's to choose between.
std::vector<std::string> add_left_data(release::Release& release, const std::vector<release::ServiceRecord>& wanted, const Observed& observed);
// Whether it is such data to the release that serves: codops' own, up, and of a service that this one does not have.
bool is_left_data(const ObservedContainer& container, const release::Release& serving);

}  // namespace codops::ops
