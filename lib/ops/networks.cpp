#include "lib/ops/networks.hpp"

#include <nlohmann/json.hpp>

#include "lib/engine/docker/api.hpp"

namespace codops::ops {

using Json = nlohmann::json;

const NamedObject* find_named(const std::vector<NamedObject>& objects, const std::string& name) {
  for (const auto& object : objects) {
    if (object.name == name) return &object;
  }
  return nullptr;
}

bool make_network(RunContext& context, const std::string& name, const Limits& limits) {
  if (context.api.find_network(name, limits)) return false;
  engine::docker::NetworkSpec spec;
  spec.name = name;
  const auto* wanted = find_named(context.networks, name);
  const auto body = wanted == nullptr ? Json::object() : Json::parse(wanted->body);
  spec.driver = body.value("Driver", "bridge");
  spec.internal = body.value("Internal", false);
  spec.attachable = body.value("Attachable", false);
  spec.enable_ipv6 = body.value("EnableIPv6", false);
  if (body.contains("Subnet")) spec.subnet = body.at("Subnet");
  if (body.contains("Gateway")) spec.gateway = body.at("Gateway");
  if (body.contains("Options")) spec.options = body.at("Options").get<std::map<std::string, std::string>>();
  if (body.contains("Labels")) spec.labels = body.at("Labels").get<std::map<std::string, std::string>>();
  spec.labels[label_token] = context.token;
  context.api.create_network(spec, limits);
  return true;
}

bool make_traffic(RunContext& context, const std::string& subnet, const Limits& limits) {
  if (context.api.find_network(context.traffic.name, limits)) return false;
  engine::docker::NetworkSpec spec;
  spec.name = context.traffic.name;
  spec.internal = true;
  spec.subnet = subnet;
  spec.labels = {{label_environment, context.environment},
                 {label_token, context.token},
                 {"com.docker.compose.project", context.project},
                 {"com.docker.compose.network", "codops"}};
  context.api.create_network(spec, limits);
  return true;
}

}  // namespace codops::ops
