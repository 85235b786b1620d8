#pragma once
// docker compose itself, asked for what it makes of the same files.
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace codops::tests {

struct Ran {
  int exit{};
  std::string out;
  std::string err;
};

// The path of docker compose (CODOPS_DOCKER_COMPOSE, else what tests/support/compose.sh finds or fetches); nullopt:
// not to be had here, `why` says what is missing.
std::optional<std::string> docker_compose(std::string& why);

// `environment` is all that the child sees.
Ran run(const std::vector<std::string>& argv, const std::string& folder,
        const std::map<std::string, std::string>& environment);

}  // namespace codops::tests
