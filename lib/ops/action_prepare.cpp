// Networks and volumes that the release needs and the engine lacks.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/engine/docker/api.hpp"
#include "lib/ops/actions.hpp"

namespace codops::ops {
namespace {

using Json = nlohmann::json;

class Prepare final : public plan::Action {
 public:
  explicit Prepare(RunContext& context) : context_{context} {}

  std::string perform(const plan::Step& step, const Limits& limits) override {
    const auto args = Json::parse(step.args);
    int made = 0;
    const EngineTime timed{context_, "create"};
    for (const auto& name : args.at("networks")) made += make_network(name, limits) ? 1 : 0;
    for (const auto& name : args.at("volumes")) made += make_volume(name, limits) ? 1 : 0;
    if (args.at("traffic").is_object()) made += make_traffic(args.at("traffic"), limits) ? 1 : 0;
    return fmt::format("{} made", made);
  }

  void undo(const plan::Step& step, const Limits& limits) override {
    const auto args = Json::parse(step.args);
    const auto remove = [&](const std::string& name) {
      const auto network = context_.api.find_network(name, limits);
      // One that others use by now (docker compose, another run) is not ours to take away.
      if (!network || network->labels.count(label_token) == 0 || !network->containers.empty()) return;
      context_.api.remove_network(name, limits);
    };
    for (const auto& name : args.at("networks")) remove(name);
    if (args.at("traffic").is_object()) remove(args.at("traffic").at("name"));
  }

 private:
  bool make_network(const std::string& name, const Limits& limits) {
    if (context_.api.find_network(name, limits)) return false;
    engine::docker::NetworkSpec spec;
    spec.name = name;
    const auto* wanted = find(context_.networks, name);
    const auto body = wanted == nullptr ? Json::object() : Json::parse(wanted->body);
    spec.driver = body.value("Driver", "bridge");
    spec.internal = body.value("Internal", false);
    spec.attachable = body.value("Attachable", false);
    spec.enable_ipv6 = body.value("EnableIPv6", false);
    if (body.contains("Subnet")) spec.subnet = body.at("Subnet");
    if (body.contains("Gateway")) spec.gateway = body.at("Gateway");
    if (body.contains("Options")) spec.options = body.at("Options").get<std::map<std::string, std::string>>();
    if (body.contains("Labels")) spec.labels = body.at("Labels").get<std::map<std::string, std::string>>();
    spec.labels[label_token] = context_.token;
    context_.api.create_network(spec, limits);
    return true;
  }

  bool make_volume(const std::string& name, const Limits& limits) {
    if (context_.api.find_volume(name, limits)) return false;
    const auto* wanted = find(context_.volumes, name);
    const auto body = wanted == nullptr ? Json::object() : Json::parse(wanted->body);
    engine::docker::VolumeDetails volume;
    volume.name = name;
    volume.driver = body.value("Driver", "local");
    if (body.contains("DriverOpts")) volume.options = body.at("DriverOpts").get<std::map<std::string, std::string>>();
    if (body.contains("Labels")) volume.labels = body.at("Labels").get<std::map<std::string, std::string>>();
    context_.api.create_volume(volume, limits);
    return true;
  }

  bool make_traffic(const Json& traffic, const Limits& limits) {
    const std::string name = traffic.at("name");
    if (context_.api.find_network(name, limits)) return false;
    engine::docker::NetworkSpec spec;
    spec.name = name;
    spec.internal = true;
    spec.subnet = traffic.at("subnet");
    spec.labels = {{label_environment, context_.environment},
                   {label_token, context_.token},
                   {"com.docker.compose.project", context_.project},
                   {"com.docker.compose.network", "codops"}};
    context_.api.create_network(spec, limits);
    return true;
  }

  static const NamedObject* find(const std::vector<NamedObject>& objects, const std::string& name) {
    for (const auto& object : objects) {
      if (object.name == name) return &object;
    }
    return nullptr;
  }

  RunContext& context_;
};

}  // namespace

std::unique_ptr<plan::Action> prepare_action(RunContext& context) { return std::make_unique<Prepare>(context); }

}  // namespace codops::ops
