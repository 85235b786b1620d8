#pragma once
// nginx at the front: one atomic switch of the upstream file, tested, reloaded, and seen to be taken over by new workers.
#include <string>
#include <vector>

#include "lib/ops/run_context.hpp"

namespace codops::ops {

// Pids of the workers that accept connections (not those that are shutting down).
std::vector<std::string> accepting_workers(RunContext& context, const std::string& proxy, const Limits& limits);

// Those that are shutting down: they may still be answering requests that they took before a reload.
std::vector<std::string> leaving_workers(RunContext& context, const std::string& proxy, const Limits& limits);

// One switch: the upstream file is written under a name that the include ignores and moved into place (the user's files are
// written too, when given), nginx reloads, and no worker of before accepts connections any more; their pids are returned.
// Failure{config} with nginx's own words when it refuses its configuration: `nginx -s reload` reads all of it before it
// signals the master, so nothing was reloaded then.
std::vector<std::string> switch_upstreams(RunContext& context, const std::string& proxy, const std::string& text,
                                          const std::vector<release::FileRef>& files, const Limits& limits);
// Its two halves, for whoever has something else to do meanwhile: the reload, and the wait until none of `before` accepts any more.
void reload_upstreams(RunContext& context, const std::string& proxy, const std::string& text, const Limits& limits);
void await_takeover(RunContext& context, const std::string& proxy, const std::vector<std::string>& before, const Limits& limits);
// The file alone, put where it belongs, for a proxy that does not run: its next start reads it.
void put_upstreams(RunContext& context, const std::string& proxy, const std::string& text, const Limits& limits);
// The same for one that runs and took no reload just now: moved into place.
void write_upstreams(RunContext& context, const std::string& proxy, const std::string& text, const Limits& limits);
// Waits until none of `workers` is left, or the deadline: false.
bool workers_gone(RunContext& context, const std::string& proxy, const std::vector<std::string>& workers, Deadline until,
                  const Limits& limits);

}  // namespace codops::ops
