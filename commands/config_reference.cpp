#include "commands/config.hpp"
#include "commands/services.hpp"
#include "lib/settings/reference.hpp"

namespace codops::commands {
namespace {

class ConfigReference final : public Command {
 public:
  void declare(Parameters& parameters) override {
    parameters.flag("--schema", schema_, "the JSON schema for editors instead");
  }

  Result run(Services&) override {
    return {Exit::ok, schema_ ? settings::schema_json() : settings::reference_yaml(), settings::schema_json()};
  }

 private:
  bool schema_{};
};

}  // namespace

std::unique_ptr<Command> make_config_reference() { return make_command<ConfigReference>(); }

}  // namespace codops::commands
