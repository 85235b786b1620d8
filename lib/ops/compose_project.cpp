#include "lib/ops/compose_project.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "lib/base/failure.hpp"
#include "lib/base/known_secrets.hpp"
#include "lib/compose/load.hpp"
#include "lib/ops/release_secrets.hpp"

namespace codops::ops {
namespace {

compose::LoadOptions load_options(const settings::Environment& environment, const std::string& version,
                                  const std::map<std::string, std::string>& shell) {
  compose::LoadOptions options;
  options.project_dir = environment.directory.string();
  options.files = environment.compose_files;
  options.env_files = environment.env_files;
  options.profiles = environment.profiles;
  options.environment = shell;
  options.project_name = environment.project;
  options.env_file_wins = true;
  options.from_shell = environment.env_from_shell;
  if (!version.empty()) options.extra[environment.version_variable] = version;
  return options;
}

}  // namespace

compose::Project load_compose(const settings::Environment& environment, const std::string& version, const std::map<std::string, std::string>& shell) {
  auto project = [&] {
    try {
      return compose::load(load_options(environment, version, shell));
    } catch (const Failure& failure) {
      // A value that is none where it stands may be a secret in the wrong place.
      KnownSecrets secrets;
      add_secrets_of(environment, shell, secrets);
      for (const auto& [name, value] : shell) {
        if (is_secret_variable(name)) secrets.add_variable(name, value);
      }
      throw Failure{failure.code(), secrets.hide(failure.message()), failure.hint()};
    }
  }();
  if (!environment.compose_file_passed_over.empty()) {
    project.warnings.push_back(fmt::format("COMPOSE_FILE of this shell ({}) is not followed: a deploy is the same from any shell, and reads {}; "
                                           "compose_files: in codops.yaml names others, env_from_shell: [COMPOSE_FILE] there follows it",
                                           environment.compose_file_passed_over, fmt::join(project.files, ", ")));
  }
  for (const auto& [name, pattern] : environment.images) {
    const auto service = project.services.find(name);
    if (service == project.services.end()) {
      throw Failure{Exit::config, fmt::format("images.{} names a service that the compose file does not have", name)};
    }
    auto image = pattern;
    if (const auto at = image.find("{version}"); at != std::string::npos) image.replace(at, 9, version);
    service->second.image = std::move(image);
  }
  return project;
}

std::string project_name(const settings::Environment& environment, const std::map<std::string, std::string>& shell) {
  if (!environment.project.empty()) return environment.project;
  // The file's own `name:` counts, and its variables may be required: a version that never reaches anything stands in.
  return compose::load(load_options(environment, "v0", shell)).name;
}

}  // namespace codops::ops
