#pragma once
// What a service is to a deploy: the front, data, a job, one of a kind, or one that rolls. Nothing is read but the compose file and the settings.
#include <string>
#include <vector>

#include "lib/compose/model.hpp"
#include "lib/release/release.hpp"
#include "lib/settings/environment.hpp"

namespace codops::ops {

// `image` as configured: "ghcr.io/shop/postgres:17".
release::Role role_of(const compose::Project& project, const compose::Service& service, const settings::Environment& environment, const std::string& image);

// A database or queue by its image's name: data lives in it.
bool is_known_database(const std::string& image);

// A worker whose own definition asks to be stopped before the next one starts: two of it at once may be wrong.
bool asks_to_stop_first(const compose::Service& service);

// The services' names so that each comes after those it depends on; the proxy last. "": there is no proxy.
std::vector<std::string> in_order(const compose::Project& project, const std::string& proxy);

}  // namespace codops::ops
