#pragma once
// What verbs on an environment share: opening it on its engine, and telling how a run ended.
#include <memory>
#include <string>

#include "commands/command.hpp"
#include "commands/services.hpp"
#include "lib/ops/engine.hpp"
#include "lib/ops/host.hpp"

namespace codops::commands {

std::unique_ptr<ops::Engine> open_engine(Services& services, const std::string& environment);

// For what only a Docker host has (volumes, stopping containers). Failure{config} for another engine.
std::unique_ptr<ops::Host> open_host(Services& services, const std::string& environment);

// Asks on a terminal or with --yes; no terminal and no --yes is a "no" that says how to say yes.
std::function<bool(const std::string&)> asker(Services& services);

// A plan, line by line, before a question is asked.
void show_plan(Services& services, const std::string& text);

// For what does not ask anyway: where the environment is protected, a "yes" is wanted first.
void require_consent(Services& services, const std::string& environment, const std::string& question);

// The end of a run: what is true now, or what failed, why, in which state things are, and what to type next.
Result ended(const ops::DeployResult& result, const std::string& environment);

}  // namespace codops::commands
