#pragma once
// Layers, lowest first: built-in < found in the project < codops.yaml < its environments.ENV < codops.ENV.yaml <
// CODOPS_* < --set. Unknown keys and bad values of every layer are reported together, with file:line:column.
//
// ${NAME}, ${NAME:-default} and the like in a value are replaced as in a compose file; the environment's files win over
// the caller's shell.
//
// Which environments exist: those that `environments:` names and those with a codops.ENV.yaml. When `environments:` is
// absent or empty, also every ENV with a file .env.ENV, and "production", "staging" and "development" always.
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/settings/environment.hpp"
#include "lib/settings/values.hpp"

namespace codops::settings {

struct Sources {
  std::filesystem::path directory;  // absolute
  std::filesystem::path file;       // of --config; empty: codops.yaml in `directory`, if it is there
  std::map<std::string, std::string> variables;  // codops' own environment
  std::vector<std::string> set;                  // "key=value"
  std::vector<std::string> reserved;             // names that no environment may have
};

// The project's directory: the nearest one from `from` upward with codops.yaml, docker-compose.prod.yml or k8s/, not
// beyond a .git; `from` itself when there is none.
std::filesystem::path find_project(const std::filesystem::path& from);

struct Problem {
  Origin at;
  std::string message;  // 'unknown key "enviroments"'
  std::string hint;     // 'did you mean "environments"?'; may be empty
};

class Settings {
 public:
  // Never throws for what is wrong in a layer: ask problems(). Throws Failure when a file can't be read or is no YAML.
  static Settings load(Sources sources);

  // What is wrong in any layer, in the order of files and lines.
  const std::vector<Problem>& problems() const { return problems_; }
  // What is wrong with one environment once its layers are merged and ${…} is replaced.
  std::vector<Problem> problems_of(std::string_view environment) const;
  // Not wrong, but worth saying: a CODOPS_ variable that looks like a misspelt key.
  const std::vector<Problem>& warnings() const { return warnings_; }
  // Throws Failure{config} that lists every problem of the layers, if there is one.
  void require_valid() const;

  const Project& project() const { return project_; }
  // Throws Failure{config} for an unknown name, with the nearest and the known ones, and for its problems.
  Environment environment(std::string_view name) const;
  void require_known(std::string_view name) const;
  // The merged values, each with its origin, ${…} as written; without a name those that all environments share.
  Values values(std::string_view environment = {}) const;
  const Sources& sources() const { return sources_; }

 private:
  void read_files();
  void find_environments();
  Values replace_variables(const Values& values, std::vector<Problem>& problems) const;

  Sources sources_;
  Project project_;
  Values shared_;                                 // codops.yaml without `environments`
  std::map<std::string, Values> by_environment_;  // environments.ENV, then codops.ENV.yaml over it
  bool listed_{};                                 // `environments:` names some
  Values variables_, flags_;
  std::vector<Problem> problems_, warnings_;
};

// "codops.yaml has 2 problems" and one line for each.
std::string describe(const std::vector<Problem>& problems);
std::string describe(const Problem& problem);  // "codops.yaml:3:5: unknown key …; did you mean …?"

}  // namespace codops::settings
