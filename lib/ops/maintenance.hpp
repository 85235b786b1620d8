#pragma once
// A page with 503 at the front instead of the application, and back. Needs no change of the user's configuration: the
// upstreams lead to a server that codops' own file defines. While it is on, nothing is deployed: what could prove a new set
// stands behind the page.
#include <optional>
#include <string>

#include "lib/ops/host.hpp"
#include "lib/ops/observed.hpp"

namespace codops::ops {

inline constexpr const char* maintenance_path = "meta/maintenance.json";

// Failure when there is no proxy, or nothing is deployed. Killed at any point, the next changing command leads to the application.
void maintenance(Host& host, bool on, const std::optional<std::string>& page, const std::string& command, Milliseconds lock_wait, const Limits& limits);

// The upstream file with every upstream leading to a server of its own on a Unix socket that answers 503 with `page`.
std::string maintenance_file(const std::string& upstreams, const std::string& page);

// The record that no maintenance is on. Written rather than removed: a write goes through the lock.
target::StateStore::File maintenance_off();

// What the proxy's file and the record of the maintenance say differently, for people; empty: nothing.
std::string maintenance_drift(const Observed& observed, const release::Release& release);

}  // namespace codops::ops
