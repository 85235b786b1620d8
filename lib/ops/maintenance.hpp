#pragma once
// A page with 503 at the front instead of the application, and back. Needs no change of the user's configuration: the
// upstreams lead to a server that codops' own file defines.
#include <optional>
#include <string>

#include "lib/ops/host.hpp"

namespace codops::ops {

inline constexpr const char* maintenance_path = "meta/maintenance.json";

// Failure when there is no proxy, or nothing is deployed.
void maintenance(Host& host, bool on, const std::optional<std::string>& page, const std::string& command, Milliseconds lock_wait, const Limits& limits);

// The upstream file with every upstream leading to a server of its own on a Unix socket that answers 503 with `page`.
std::string maintenance_file(const std::string& upstreams, const std::string& page);

}  // namespace codops::ops
