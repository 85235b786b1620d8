#pragma once
// Commands that the user's codops.yaml asks for around a deploy: on this machine, or inside a service's image.
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/known_secrets.hpp"
#include "lib/ops/host.hpp"
#include "lib/ops/run_result.hpp"
#include "lib/plan/journal.hpp"
#include "lib/release/release.hpp"

namespace codops::ops {

struct HookFacts {
  std::string event;    // pre_deploy, post_deploy, on_failure
  std::string version;
  int release{};
  std::string result;
  std::string token;    // of the run: what a hook's container is known by, should the run die
};

// How the hooks that follow an outcome went: they don't change it.
struct AfterHooks {
  std::vector<std::string> failed;
  std::optional<Failure> cut_off;  // a signal, or the end of the whole command's time: what was left was not run
};

// How they are shown to people and in records: without the values that the environment's files and shell keep secret.
void name_hooks(settings::Environment& environment, const std::map<std::string, std::string>& shell);

// Each by `run`.
AfterHooks run_each(const std::vector<settings::Hook>& hooks, const std::string& event, const std::function<void(const settings::Hook&)>& run, const Limits& limits);

// Between two notes in the journal: whoever finds the first without the second knows that they may not have come to their end.
// post_deploy or on_failure by the outcome, which stays; a signal's exit code is the run's.
void run_noted(RunResult& result, plan::Journal& journal, Reporter& reporter, const Clock& clock, const std::function<AfterHooks()>& run);

// CODOPS_EVENT, _ENVIRONMENT, _VERSION, _RELEASE and _RESULT: all that a hook is told, wherever it runs.
std::map<std::string, std::string> hook_variables(const HookFacts& facts, const std::string& environment);

// On this machine, in the project's directory, with those variables and the caller's PATH, HOME, LANG, TERM and `more`. When it has ended,
// or its time has, nothing that it started goes on; nor does it go on when codops is killed. Failure with the end of what it said,
// hidden by `secrets`, which are asked for then.
std::string run_local_hook(const settings::Hook& hook, const std::map<std::string, std::string>& variables, const settings::Environment& environment,
                           const std::map<std::string, std::string>& shell, std::initializer_list<const char*> more,
                           const std::function<KnownSecrets()>& secrets, const Limits& limits);
// What a hook said before it failed, for the message; empty: nothing.
std::string last_words(const HiddenTail& tail, const std::function<KnownSecrets()>& secrets);

// Here or in its service's image, with a failure when it does not exit with 0 or not within its time. `release`: whose definitions and
// files hold the values that must not be shown; a hook inside an image finds its service there, or, when `in_next` is false, in the
// release that serves.
std::string run_hook(Host& host, const settings::Hook& hook, const HookFacts& facts, const release::Release& release, bool in_next, const Limits& limits);

}  // namespace codops::ops
