// Networks and volumes that the release needs and the engine lacks.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/engine/docker/api.hpp"
#include "lib/ops/actions.hpp"
#include "lib/ops/networks.hpp"

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
    for (const auto& name : args.at("networks")) made += make_network(context_, name, limits) ? 1 : 0;
    for (const auto& name : args.at("volumes")) made += make_volume(name, limits) ? 1 : 0;
    if (args.at("traffic").is_object()) made += make_traffic(context_, args.at("traffic").at("subnet"), limits) ? 1 : 0;
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
  bool make_volume(const std::string& name, const Limits& limits) {
    if (context_.api.find_volume(name, limits)) return false;
    const auto* wanted = find_named(context_.volumes, name);
    const auto body = wanted == nullptr ? Json::object() : Json::parse(wanted->body);
    engine::docker::VolumeDetails volume;
    volume.name = name;
    volume.driver = body.value("Driver", "local");
    if (body.contains("DriverOpts")) volume.options = body.at("DriverOpts").get<std::map<std::string, std::string>>();
    if (body.contains("Labels")) volume.labels = body.at("Labels").get<std::map<std::string, std::string>>();
    context_.api.create_volume(volume, limits);
    return true;
  }

  RunContext& context_;
};

}  // namespace

std::unique_ptr<plan::Action> prepare_action(RunContext& context) { return std::make_unique<Prepare>(context); }

}  // namespace codops::ops
