#include "lib/ops/hooks.hpp"

#include <fmt/format.h>

#include "lib/io/process.hpp"
#include "lib/ops/one_off.hpp"

namespace codops::ops {
namespace {

constexpr std::size_t most_words = 2000;

std::map<std::string, std::string> variables_of(const Host& host, const HookFacts& facts) {
  std::map<std::string, std::string> env{{"CODOPS_EVENT", facts.event},
                                         {"CODOPS_ENVIRONMENT", host.environment().name},
                                         {"CODOPS_VERSION", facts.version},
                                         {"CODOPS_RELEASE", std::to_string(facts.release)},
                                         {"CODOPS_RESULT", facts.result}};
  for (const char* name : {"PATH", "HOME", "LANG", "TERM", "DOCKER_HOST", "DOCKER_CONTEXT"}) {
    if (const auto found = host.shell().find(name); found != host.shell().end()) env.insert(*found);
  }
  return env;
}

}  // namespace

std::string run_hook(Host& host, const settings::Hook& hook, const HookFacts& facts, const release::Release* next, const Limits& limits) {
  const auto name = fmt::format("{}", fmt::join(hook.run, " "));
  const auto within = limits.within(hook.timeout);
  try {
    if (!hook.service.empty()) {
      std::string tail;
      const auto keep = [&](std::string_view bytes) {
        tail += bytes;
        if (tail.size() > 2 * most_words) tail.erase(0, tail.size() - most_words);
      };
      const int code = run_one_off(host, {hook.service, hook.run, variables_of(host, facts), false, facts.token}, next, within, {{}, keep, keep});
      if (code != 0) {
        if (tail.size() > most_words) tail.erase(0, tail.size() - most_words);
        while (!tail.empty() && tail.back() == '\n') tail.pop_back();
        throw Failure{Exit::failed, fmt::format("hook \"{}\" in {} exited with {}{}{}", name, hook.service, code, tail.empty() ? "" : ": ", redact_urls_in(tail))};
      }
      return name;
    }
    io::Program program;
    program.argv = hook.run;
    program.env = variables_of(host, facts);
    program.cwd = host.environment().directory;
    const auto outcome = io::run(program, {}, within);
    if (!outcome.status.success()) {
      throw Failure{Exit::failed, fmt::format("hook \"{}\" {}{}{}", name, outcome.status.text(), outcome.error_tail.empty() ? "" : ": ", redact_urls_in(outcome.error_tail))};
    }
    return name;
  } catch (const Failure& failure) {
    if (failure.code() != Exit::deadline || limits.deadline.expired()) throw;
    throw Failure{Exit::failed, fmt::format("hook \"{}\" did not end within its time limit and was killed", name), "its timeout in codops.yaml"};
  }
}

}  // namespace codops::ops
