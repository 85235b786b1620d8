#pragma once
// What a failed run leaves behind for whoever asks why: collected before anything is cleaned up, kept in the state.
#include <string>
#include <vector>

#include "lib/ops/run_context.hpp"
#include "lib/plan/plan.hpp"

namespace codops::ops {

// Whose evidence counts when `failed` went wrong: its own containers, else all that the plan made so far.
std::vector<std::string> suspects(const plan::Plan& plan, const plan::Step& failed);
// JSON of the containers that are not well (or all, when all are): state, exit code, OOM flag, restarts, health
// history, last 100 log lines with secrets of the definitions hidden. Never throws: what can't be had is said inside.
std::string collect_evidence(RunContext& context, const std::string& step, const std::string& message,
                             const std::vector<std::string>& containers, const Limits& limits);
// The last lines of the worst container's log, for the error message.
std::vector<std::string> worst_lines(const std::string& evidence_json, std::size_t lines);

}  // namespace codops::ops
