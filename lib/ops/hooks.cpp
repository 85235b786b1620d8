#include "lib/ops/hooks.hpp"

#include <fmt/format.h>

#include "lib/engine/docker/api.hpp"
#include "lib/io/process.hpp"
#include "lib/ops/one_off.hpp"
#include "lib/ops/release_secrets.hpp"
#include "lib/plan/fault.hpp"
#include "lib/text/utf8.hpp"

namespace codops::ops {
namespace {

constexpr std::size_t most_words = 2000;
constexpr Milliseconds secrets_time{5000};
constexpr Milliseconds note_time{10'000};

KnownSecrets secrets_of(Host& host, const release::Release& release) {
  const auto limits = Limits{}.within(secrets_time);
  KnownSecrets known;
  add_secrets_of(host.environment(), host.shell(), known);
  host.api().registry_auth().add_secrets(known);
  add_secrets_of(release, host.store().find_specs(release.number, limits),
                 [&](const std::string& sha256) { return host.store().load_blob(sha256, limits).value_or(std::string{}); }, known);
  return known;
}

void run_hook_in_image(Host& host, const settings::Hook& hook, const HookFacts& facts, const release::Release& release, bool in_next, const Limits& limits) {
  HiddenTail tail{most_words};
  const auto keep = [&](std::string_view bytes) { tail.add(bytes); };
  // Nothing of the caller's: the image has a PATH of its own, and this machine's engine is none of its business.
  const int code = run_one_off(host, {hook.service, hook.run, hook_variables(facts, host.environment().name), false, facts.token}, in_next ? &release : nullptr, limits,
                               {{}, keep, keep});
  if (code == 0) return;
  throw Failure{Exit::failed, fmt::format("hook \"{}\" in {} exited with {}{}", hook.shown, hook.service, code, last_words(tail, [&] { return secrets_of(host, release); }))};
}

}  // namespace

void name_hooks(settings::Environment& environment, const std::map<std::string, std::string>& shell) {
  auto& hooks = environment.hooks;
  std::optional<KnownSecrets> secrets;
  for (auto* list : {&hooks.pre_deploy, &hooks.post_deploy, &hooks.on_failure}) {
    for (auto& hook : *list) {
      if (!secrets) add_secrets_of(environment, shell, secrets.emplace());
      hook.shown = secrets->hide(fmt::format("{}", fmt::join(hook.run, " ")));
    }
  }
}

AfterHooks run_each(const std::vector<settings::Hook>& hooks, const std::string& event, const std::function<void(const settings::Hook&)>& run, const Limits& limits) {
  AfterHooks after;
  for (std::size_t index = 0; index < hooks.size(); ++index) {
    try {
      limits.check("hook \"" + hooks[index].shown + "\"");
      run(hooks[index]);
    } catch (const Failure& failure) {
      const bool over = limits.cancel.requested() || limits.deadline.expired();
      const auto rest = hooks.size() - index - 1;
      after.failed.push_back(fmt::format("{}: {}{}", event, over ? fmt::format("hook \"{}\" was cut off: {}", hooks[index].shown, failure.message()) : failure.message(),
                                         over && rest > 0 ? fmt::format("; {} more did not run", rest) : ""));
      if (!over) continue;
      after.cut_off = failure;
      return after;
    }
  }
  return after;
}

void run_noted(RunResult& result, plan::Journal& journal, Reporter& reporter, const Clock& clock, const std::function<AfterHooks()>& run) {
  const std::string event = result.outcome.done ? plan::post_deploy : plan::on_failure;
  const plan::Faults faults;
  const auto began = clock.steady();
  const auto note = [&](const char* what, const std::string& text) {
    try {
      journal.write(what, event, text, Limits{}.within(note_time));
    } catch (const Failure& failure) {
      // Who lost the lock is told so by the record.
      if (failure.code() != Exit::locked) reporter.warn(fmt::format("that {} hooks run could not be written down: {}", event, failure.message()));
    }
  };
  note("doing", fmt::format("{} hooks of release {}", event, result.plan.release));
  faults.at("before", event);
  const auto after = run();
  faults.at("after", event);
  note("done", fmt::format("{}", fmt::join(after.failed, "; ")));
  result.failed_hooks = after.failed;
  if (result.outcome.done && after.cut_off) result.exit = after.cut_off->code();
  result.after_hooks += std::chrono::duration_cast<Milliseconds>(clock.steady() - began);
}

std::map<std::string, std::string> hook_variables(const HookFacts& facts, const std::string& environment) {
  return {{"CODOPS_EVENT", facts.event},
          {"CODOPS_ENVIRONMENT", environment},
          {"CODOPS_VERSION", facts.version},
          {"CODOPS_RELEASE", std::to_string(facts.release)},
          {"CODOPS_RESULT", facts.result}};
}

std::string last_words(const HiddenTail& tail, const std::function<KnownSecrets()>& secrets) {
  if (tail.empty()) return {};
  try {
    const auto text = text::replace_invalid_utf8(tail.text(secrets()));
    return text.empty() ? text : ": " + text;
  } catch (const Failure& failure) {
    // What can't be told from a secret is not shown.
    return fmt::format("; what it said is left out, for the values to hide in it could not be had: {}", failure.message());
  }
}

std::string run_local_hook(const settings::Hook& hook, const std::map<std::string, std::string>& variables, const settings::Environment& environment,
                           const std::map<std::string, std::string>& shell, std::initializer_list<const char*> more,
                           const std::function<KnownSecrets()>& secrets, const Limits& limits) {
  io::Program program;
  program.argv = hook.run;
  program.env = variables;
  const auto take = [&](const char* name) {
    if (const auto found = shell.find(name); found != shell.end()) program.env.insert(*found);
  };
  for (const char* name : {"PATH", "HOME", "LANG", "TERM"}) take(name);
  for (const char* name : more) take(name);
  program.cwd = environment.directory;
  program.guarded = true;
  HiddenTail tail{most_words};
  const auto outcome = io::run(program, {{}, {}, [&](std::string_view bytes) { tail.add(bytes); }}, limits);
  if (!outcome.status.success()) {
    throw Failure{Exit::failed, fmt::format("hook \"{}\" {}{}", hook.shown, outcome.status.text(), last_words(tail, secrets))};
  }
  return hook.shown;
}

std::string run_hook(Host& host, const settings::Hook& hook, const HookFacts& facts, const release::Release& release, bool in_next, const Limits& limits) {
  const auto within = limits.within(hook.timeout);
  try {
    if (!hook.service.empty()) {
      run_hook_in_image(host, hook, facts, release, in_next, within);
      return hook.shown;
    }
    return run_local_hook(hook, hook_variables(facts, host.environment().name), host.environment(), host.shell(), {"DOCKER_HOST", "DOCKER_CONTEXT"},
                          [&] { return secrets_of(host, release); }, within);
  } catch (const Failure& failure) {
    if (failure.code() != Exit::deadline || limits.deadline.expired()) throw;
    throw Failure{Exit::failed, fmt::format("hook \"{}\" did not end within its time limit and was killed", hook.shown), "its timeout in codops.yaml"};
  }
}

}  // namespace codops::ops
