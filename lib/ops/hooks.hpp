#pragma once
// Commands that the user's codops.yaml asks for around a deploy: on this machine, or inside a service's image.
#include <string>

#include "lib/ops/host.hpp"
#include "lib/release/release.hpp"

namespace codops::ops {

struct HookFacts {
  std::string event;    // pre_deploy, post_deploy, on_failure
  std::string version;
  int release{};
  std::string result;
  std::string token;    // of the run: what a hook's container is known by, should the run die
};

// Gets CODOPS_EVENT, _ENVIRONMENT, _VERSION, _RELEASE and _RESULT beside PATH, HOME and LANG; nothing else of ours. Ends
// at the hook's time limit. Failure when it does not exit with 0. `next`: where a hook inside an image finds its service.
std::string run_hook(Host& host, const settings::Hook& hook, const HookFacts& facts, const release::Release* next, const Limits& limits);

}  // namespace codops::ops
