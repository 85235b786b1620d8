#include "lib/kube/service_reach.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/kube/fields.hpp"
#include "lib/kube/pod_view.hpp"

namespace codops::kube {
namespace {

using Json = nlohmann::json;

Json selector_of(const Object& service) {
  if (text_in(service.json(), "/spec/type") == "ExternalName") return Json::object();
  const Json::json_pointer at{"/spec/selector"};
  return service.json().contains(at) && service.json().at(at).is_object() ? service.json().at(at) : Json::object();
}

std::string words_of(const Json& selector) {
  std::string text;
  for (const auto& [name, value] : selector.items()) text += fmt::format("{}{}={}", text.empty() ? "" : ",", name, value.is_string() ? value.get<std::string>() : value.dump());
  return text.empty() ? "nothing" : text;
}

}  // namespace

bool is_led_to(const Object& service, const Object& workload) {
  const auto selector = selector_of(service);
  const Json::json_pointer labels{"/spec/template/metadata/labels"};
  return !selector.empty() && service.namespace_() == workload.namespace_() && workload.json().contains(labels) && is_within(selector, workload.json().at(labels));
}

int ready_endpoints(const Object& service, const std::vector<Object>& slices) {
  int count = 0;
  for (const auto& slice : slices) {
    if (slice.namespace_() != service.namespace_() || slice.label("kubernetes.io/service-name") != service.name()) continue;
    const auto endpoints = slice.json().value("endpoints", Json::array());
    if (!endpoints.is_array()) continue;
    // Nothing said of it is a yes.
    count += static_cast<int>(std::count_if(endpoints.begin(), endpoints.end(), [](const Json& endpoint) { return endpoint.value("/conditions/ready"_json_pointer, true); }));
  }
  return count;
}

std::vector<std::string> service_drift(const Object& wanted, const Object& live) {
  std::vector<std::string> lines;
  const auto ours = selector_of(wanted), theirs = selector_of(live);
  if (ours != theirs) lines.push_back(fmt::format("its selector is {}, not {}", words_of(theirs), words_of(ours)));
  const Json::json_pointer ports{"/spec/ports"};
  if (!wanted.json().contains(ports)) return lines;
  const auto present = live.json().contains(ports) ? live.json().at(ports) : Json::array();
  const auto& all = wanted.json().at(ports);
  // The server numbers and names what is left open; one that is there beside is another's.
  const bool kept = std::all_of(all.begin(), all.end(), [&](const Json& port) {
    return std::any_of(present.begin(), present.end(), [&](const Json& one) { return is_within(port, one); });
  });
  if (!kept) lines.push_back("its ports were changed");
  return lines;
}

}  // namespace codops::kube
