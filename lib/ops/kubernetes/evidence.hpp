#pragma once
// What is worth knowing of a rollout that failed, fetched before anything is undone. The format is that of a Docker host's evidence
// (`codops history ENV N --logs`).
#include <string>

#include "lib/ops/kubernetes/run_context.hpp"

namespace codops::ops::kubernetes {

// JSON. Values of the release's Secrets are hidden wherever they stand. Never throws.
std::string collect_evidence(RunContext& context, const std::string& step, const std::string& message, const Limits& limits);

}  // namespace codops::ops::kubernetes
