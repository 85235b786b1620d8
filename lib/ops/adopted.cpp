#include "lib/ops/adopted.hpp"

#include <algorithm>

namespace codops::ops {

release::Release as_adopted(release::Release found, const std::string& environment, const std::vector<release::ServiceRecord>& known) {
  found.environment = environment;
  const auto place_of = [&](const release::ServiceRecord& service) {
    return std::find_if(known.begin(), known.end(), [&](const auto& one) { return one.name == service.name; });
  };
  for (auto& service : found.services) {
    const auto same = place_of(service);
    if (same == known.end()) continue;
    if (service.hash.empty()) service.role = same->role;
    service.depends_on = same->depends_on;
    service.ready = same->ready;
    service.stop_grace_seconds = same->stop_grace_seconds;
  }
  std::stable_sort(found.services.begin(), found.services.end(), [&](const auto& a, const auto& b) { return place_of(a) < place_of(b); });
  return found;
}

}  // namespace codops::ops
