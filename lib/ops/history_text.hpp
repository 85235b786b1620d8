#pragma once
// The history as people and programs read it. Pure.
#include <string>

#include "lib/release/release_store.hpp"

namespace codops::ops {

// One line an entry, newest first.
std::string history_text(const release::Snapshot& snapshot, const std::string& environment, WallTime now, std::size_t last);
std::string history_json(const release::Snapshot& snapshot);
// The story of one entry: "7", or of a release's newest entry: "r13". Failure{usage} for what is not there.
std::string story_text(const release::Snapshot& snapshot, const std::string& which, bool with_logs, bool with_journal);
std::string story_json(const release::Snapshot& snapshot, const std::string& which);
// Every journal that is kept, step by step.
std::string journal_text(const release::Snapshot& snapshot);

}  // namespace codops::ops
