#include "commands/config.hpp"
#include "commands/host.hpp"

namespace codops::commands {
namespace {

class ConfigManifests final : public Command {
 public:
  void declare(Parameters& parameters) override {
    parameters.positional("ENV", environment_, "the environment");
    parameters.positional("VERSION", version_, "the tag of the images");
  }
  Result run(Services& services) override {
    const auto document = open_engine(services, environment_)->rendered(version_, services.limits());
    return {Exit::ok, document, document};
  }

 private:
  std::string environment_, version_;
};

}  // namespace

std::unique_ptr<Command> make_config_manifests() { return make_command<ConfigManifests>(); }

}  // namespace codops::commands
