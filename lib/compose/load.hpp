#pragma once
// Compose files to a model: find, read, interpolate, merge, extend, include, normalise, check, as docker compose does.
// Everything that is wrong is reported at once, as one Failure{config} with a line "file:line:column: …" for each.
#include <map>
#include <string>
#include <vector>

#include "lib/compose/model.hpp"

namespace codops::compose {

struct LoadOptions {
  // Relative paths in `files` are relative to the current folder; paths inside the files to `project_dir`. Empty: the
  // folder of the first file.
  std::string project_dir;
  // Later ones override. Empty: COMPOSE_FILE, else compose.yaml, compose.yml, docker-compose.yml, docker-compose.yaml
  // (with compose.override.yaml …) in `project_dir` or the nearest folder above.
  std::vector<std::string> files;
  // Instead of `.env` in project_dir; later ones win. A missing one is an error.
  std::vector<std::string> env_files;
  std::vector<std::string> profiles;                // beside COMPOSE_PROFILES; "*" is all
  std::map<std::string, std::string> environment;   // the caller's shell
  std::string project_name;                         // else COMPOSE_PROJECT_NAME, `name:`, the folder's name
  // A name that both the shell and an environment file set: docker compose takes the shell's value. True: the file
  // wins, but for the names in `from_shell`; Project::overridden tells which.
  bool env_file_wins{false};
  std::vector<std::string> from_shell;
  std::map<std::string, std::string> extra;         // wins over both: VERSION of a deploy
  std::map<std::string, std::string> files_to_be;   // by absolute path: env_files as they will be, there already or not
  std::map<std::string, std::string> images;        // by service, instead of the file's; of unknown services: an error
};

Project load(const LoadOptions& options);

// docker compose's rule: lower case, of letters, digits, - and _, beginning with a letter or digit.
std::string normal_project_name(std::string_view name);

}  // namespace codops::compose
