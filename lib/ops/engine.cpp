#include "lib/ops/engine.hpp"

#include <fmt/format.h>

#include "lib/ops/docker_engine.hpp"
#include "lib/ops/kubernetes/engine.hpp"

namespace codops::ops {
namespace {

using Open = std::unique_ptr<Engine> (*)(settings::Environment, std::map<std::string, std::string>, Reporter&, const Clock&);

struct Row {
  settings::Engine engine;
  Open open;
};

constexpr Row rows[] = {
    {settings::Engine::docker, open_docker},
    {settings::Engine::kubernetes, kubernetes::open_cluster},
};

}  // namespace

std::unique_ptr<Engine> open_engine(settings::Environment environment, std::map<std::string, std::string> shell, Reporter& reporter, const Clock& clock) {
  for (const auto& row : rows) {
    if (row.engine == environment.engine) return row.open(std::move(environment), std::move(shell), reporter, clock);
  }
  throw Failure{Exit::config, fmt::format("environment \"{}\" asks for an engine that this codops does not deploy to yet", environment.name),
                "engine: docker or engine: kubernetes in codops.yaml"};
}

}  // namespace codops::ops
