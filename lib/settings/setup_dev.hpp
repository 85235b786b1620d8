#pragma once
// `setup_dev:` in codops.yaml. Rows of the schema and the reader are in setup_dev.cpp.
#include <string>
#include <vector>

namespace codops::settings {

class Values;

struct DevCommand {
  std::vector<std::string> run;  // argv
  std::string directory;         // relative to the project; empty: the project's own
  std::vector<std::string> inputs;  // files, relative to the project, whose change runs it again
  std::vector<std::string> outputs;  // relative to the project; once one is gone it runs again

  bool operator==(const DevCommand&) const = default;
};

struct SetupDev {
  std::string backend{"auto"};           // auto, docker, local
  std::vector<std::string> directories;  // with a package.json; empty: the project's own and those one level below
  std::vector<std::string> compose_files;  // empty: those that docker compose itself finds
  std::string project;                     // of docker compose; empty: its own rule
  std::vector<DevCommand> generate, seed;
  bool build{};
  std::vector<std::string> build_outputs;  // relative to the project

  bool operator==(const SetupDev&) const = default;
};

SetupDev read_setup_dev(const Values& values);

}  // namespace codops::settings
