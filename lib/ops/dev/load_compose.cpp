// The checkout's compose file, as docker compose would read it with the .env files as they will be.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "lib/compose/load.hpp"
#include "lib/ops/dev/workspace.hpp"
#include "lib/settings/development_compose.hpp"

namespace codops::ops::dev {
namespace {

constexpr std::array<const char*, 4> compose_names{"compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"};

// By somebody's word: the setting, or COMPOSE_FILE of the shell or of .env.
bool names_compose_files(const Workspace& workspace, const compose::LoadOptions& options) {
  if (!workspace.environment.setup_dev.compose_files.empty()) return true;
  for (const auto* variables : {&workspace.shell, &options.extra}) {
    if (const auto named = variables->find("COMPOSE_FILE"); named != variables->end() && !named->second.empty()) return true;
  }
  return false;
}

bool has_usual_compose_file(const Workspace& workspace) {
  return std::any_of(compose_names.begin(), compose_names.end(), [&](const char* name) { return std::filesystem::exists(workspace.project / name); });
}

// As docker compose has it: the shell's variable, then that of .env; codops.yaml stands where the compose file's `name:` does.
void name_project(Workspace& workspace, compose::LoadOptions& options) {
  const auto& setting = workspace.environment.setup_dev.project;
  options.project_name = setting;
  const auto shell = workspace.shell.find("COMPOSE_PROJECT_NAME");
  const auto file = options.extra.find("COMPOSE_PROJECT_NAME");
  if (shell != workspace.shell.end() && !shell->second.empty()) options.project_name = shell->second;
  else if (file != options.extra.end() && !file->second.empty()) options.project_name = file->second;
  if (setting.empty() || setting == options.project_name) return;
  note_once(workspace, fmt::format("the stack is \"{}\", as COMPOSE_PROJECT_NAME says, and not \"{}\" as setup_dev.project", options.project_name, setting));
}

}  // namespace

void note_once(Workspace& workspace, std::string note) {
  if (std::find(workspace.notes.begin(), workspace.notes.end(), note) == workspace.notes.end()) workspace.notes.push_back(std::move(note));
}

void load_compose(Workspace& workspace) {
  compose::LoadOptions options;
  options.project_dir = workspace.project.string();
  for (const auto& file : workspace.environment.setup_dev.compose_files) options.files.push_back((workspace.project / file).string());
  options.profiles = workspace.environment.profiles;
  options.environment = workspace.shell;
  options.env_file_wins = true;
  for (const auto& file : workspace.env) {
    options.files_to_be[(workspace.project / file.path).lexically_normal().string()] = file.after.text();
    for (const auto& link : file.links) options.files_to_be[(workspace.project / link).lexically_normal().string()] = file.after.text();
  }
  // As .env will be, not as it is.
  for (const auto& file : workspace.env) {
    if (file.path != ".env") continue;
    for (const auto& statement : file.after.statements()) {
      if (statement.value) options.extra[statement.name] = *statement.value;
    }
  }
  if (!names_compose_files(workspace, options)) {
    if (const auto own = settings::named_for_development(workspace.project); !has_usual_compose_file(workspace)) {
      if (own.empty()) return;
      options.files.push_back((workspace.project / own).string());
    } else if (!own.empty()) {
      note_once(workspace, fmt::format("{} is there too, and was not looked at; to use it: setup_dev: {{compose_files: [{}]}} in codops.yaml", own, own));
    }
  }
  name_project(workspace, options);
  try {
    workspace.compose = compose::load(options);
  } catch (const Failure& failure) {
    workspace.compose_failure = failure;
  }
}

}  // namespace codops::ops::dev
