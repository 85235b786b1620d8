#include "lib/ops/run_context.hpp"

#include <fmt/format.h>

#include "lib/base/failure.hpp"
#include "lib/ops/release_secrets.hpp"

namespace codops::ops {

std::string RunContext::blob(const std::string& sha256, const Limits& limits) {
  if (const auto found = blobs.find(sha256); found != blobs.end()) return found->second;
  auto content = store.load_blob(sha256, limits);
  if (!content) {
    throw Failure{Exit::data, fmt::format("a file of the release (SHA-256 {}…) is missing from the state on the engine", sha256.substr(0, 12)),
                  "deploy the version again: its files are taken from the checkout"};
  }
  return blobs.emplace(sha256, std::move(*content)).first->second;
}

const KnownSecrets& RunContext::secrets(const Limits& limits) {
  if (!found_secrets) {
    auto known = environment_secrets;
    add_secrets_of(next, specs, [&](const std::string& sha256) { return blob(sha256, limits); }, known);
    found_secrets = std::move(known);
  }
  return *found_secrets;
}

const KnownSecrets& RunContext::secrets_at_hand() {
  try {
    return secrets(Limits{}.within(Milliseconds{2'000}));
  } catch (const Failure&) {
    return environment_secrets;
  }
}

EngineTime::EngineTime(RunContext& context, const std::string& step)
    : context_{context}, step_{step}, start_{context.clock.steady()} {}

EngineTime::~EngineTime() {
  context_.engine_time[step_] += std::chrono::duration_cast<Milliseconds>(context_.clock.steady() - start_);
}

}  // namespace codops::ops
