#include "lib/kube/service_address.hpp"

#include <nlohmann/json.hpp>

#include "lib/kube/pod_view.hpp"

namespace codops::kube {
namespace {

using Json = nlohmann::json;

Json ports_of(const Json& spec) {
  const auto found = spec.find("ports");
  return found != spec.end() && found->is_array() ? *found : Json::array();
}

bool same_port(const Json& one, const Json& other) {
  return one.value("port", 0) == other.value("port", 0) && one.value("protocol", "TCP") == other.value("protocol", "TCP");
}

bool is_open(const Json& spec, const char* field) {
  const auto found = spec.find(field);
  return found == spec.end() || found->is_null() || *found == 0 || *found == "" || *found == Json::array();
}

}  // namespace

std::string address_of(const Object& live) {
  if (live.kind() != "Service" || !live.group().empty() || !live.json().contains("spec")) return {};
  const auto& spec = live.json().at("spec");
  Json address = Json::object();
  if (const auto ip = text_in(spec, "/clusterIP"); !ip.empty() && ip != "None") {
    address["clusterIP"] = ip;
    if (!is_open(spec, "clusterIPs")) address["clusterIPs"] = spec.at("clusterIPs");
  }
  for (const auto& port : ports_of(spec)) {
    if (!is_open(port, "nodePort")) address["ports"].push_back({{"port", port.value("port", 0)}, {"protocol", port.value("protocol", "TCP")}, {"nodePort", port.at("nodePort")}});
  }
  if (!is_open(spec, "healthCheckNodePort")) address["healthCheckNodePort"] = spec.at("healthCheckNodePort");
  return address.empty() ? std::string{} : address.dump();
}

bool has_node_ports(const std::string& address) {
  const auto json = Json::parse(address, nullptr, false);
  return json.is_object() && json.contains("ports");
}

Object at_address(const Object& service, const std::string& address) {
  const auto given = Json::parse(address, nullptr, false);
  if (!given.is_object() || service.empty() || !service.json().contains("spec")) return service;
  const auto type = service.json().at("spec").value("type", "ClusterIP");
  if (type == "ExternalName") return service;
  auto made = service;
  auto& spec = made.edit()["spec"];
  if (is_open(spec, "clusterIP") && is_open(spec, "clusterIPs")) {
    for (const auto* field : {"clusterIP", "clusterIPs"}) {
      if (given.contains(field)) spec[field] = given.at(field);
    }
  }
  const bool balanced = type == "LoadBalancer";
  if (given.contains("ports") && spec.contains("ports") && (type == "NodePort" || (balanced && spec.value("allocateLoadBalancerNodePorts", true)))) {
    for (auto& port : spec["ports"]) {
      if (!is_open(port, "nodePort")) continue;
      for (const auto& one : given.at("ports")) {
        if (same_port(port, one)) port["nodePort"] = one.at("nodePort");
      }
    }
  }
  if (balanced && given.contains("healthCheckNodePort") && spec.value("externalTrafficPolicy", "") == "Local" && is_open(spec, "healthCheckNodePort"))
    spec["healthCheckNodePort"] = given.at("healthCheckNodePort");
  return made.json() == service.json() ? service : made;
}

}  // namespace codops::kube
