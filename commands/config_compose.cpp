#include <nlohmann/json.hpp>

#include "commands/config.hpp"
#include "commands/services.hpp"
#include "lib/compose/load.hpp"

namespace codops::commands {
namespace {

class ConfigCompose final : public Command {
 public:
  void declare(Parameters& parameters) override {
    parameters.positional("ENV", environment_, "the environment; without it docker compose's own rules hold", false);
    parameters.positional("VERSION", version_, "the version that the files may name", false);
    parameters.options("-f,--file", "FILE", files_, "a compose file; may be repeated, later ones override");
    parameters.options("--env-file", "FILE", env_files_, "instead of .env; may be repeated, later ones win");
    parameters.options("--profile", "NAME", profiles_, "switches a profile on; may be repeated");
    parameters.option("-p,--project-name", "NAME", project_name_, "instead of the files' own");
  }

  Result run(Services& services) override {
    const auto project = compose::load(load_options(services));
    for (const auto& warning : project.warnings) services.reporter().warn(warning);
    for (const auto& name : project.overridden)
      services.reporter().note("the environment's file wins over the shell's " + name);
    auto document = compose::to_json(project);
    return {Exit::ok, document, document};
  }

 private:
  compose::LoadOptions load_options(Services& services) const {
    compose::LoadOptions options;
    options.environment = services.settings_sources().variables;
    if (environment_.empty()) {
      options.project_dir = services.options().project_dir;
    } else {
      from_settings(services.environment(environment_), options);
    }
    if (!files_.empty()) options.files = files_;
    if (!env_files_.empty()) options.env_files = env_files_;
    options.profiles.insert(options.profiles.end(), profiles_.begin(), profiles_.end());
    if (project_name_) options.project_name = *project_name_;
    return options;
  }

  void from_settings(const settings::Environment& environment, compose::LoadOptions& options) const {
    options.project_dir = environment.directory.string();
    options.files = environment.compose_files;
    options.env_files = environment.env_files;
    options.profiles = environment.profiles;
    options.project_name = environment.project;
    options.env_file_wins = true;
    options.from_shell = environment.env_from_shell;
    if (version_.empty()) return;
    options.extra[environment.version_variable] = version_;
    for (auto [service, image] : environment.images) {
      if (const auto at = image.find("{version}"); at != std::string::npos) image.replace(at, 9, version_);
      options.images[service] = std::move(image);
    }
  }

  std::string environment_, version_;
  std::vector<std::string> files_, env_files_, profiles_;
  std::optional<std::string> project_name_;
};

}  // namespace

std::unique_ptr<Command> make_config_compose() { return make_command<ConfigCompose>(); }

}  // namespace codops::commands
