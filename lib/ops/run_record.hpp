#pragma once
// How a run is named and written down, the same on every engine.
#include <string>

#include "lib/ops/run_result.hpp"
#include "lib/release/release_store.hpp"
#include "lib/target/state.hpp"

namespace codops::ops {

// Sorts by time, and carries the token so that what was made late can be told. Sorts after `last`, the newest that there is, even where
// the engine's clock was put back meanwhile.
std::string run_name(WallTime now, const std::string& token, const std::string& last);
std::string newest_run(const release::Snapshot& snapshot);
// "ok", "undone", "undo failed"
std::string result_of(const plan::Outcome& outcome);
release::HistoryEntry entry_for(const plan::Plan& plan, WallTime started, const target::LockOwner& owner);
// Whether the run had proven its new release when it began the step `last`.
bool was_proven(const plan::Plan& plan, std::size_t last);
// Whether any of its entries says that it went beyond its plan; a damaged one may.
bool had_begun(const plan::Record& record);
// Whether all its steps were done: it had come to the hooks that follow them.
bool had_finished(const plan::Record& record);
// Of such a run, for the history: where it died.
std::string words_of_finished(const plan::Record& record, const plan::Plan& plan);
// Of one that had ended and died within its hooks.
std::string words_of_open_hooks(const plan::Record& record);
// A run that had begun to go back must never be finished: what its last step takes away may be what serves again.
bool had_turned_back(const plan::Record& record);

}  // namespace codops::ops
