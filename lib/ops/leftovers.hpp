#pragma once
// Files of the state without content: left by a write that found no room and was never acknowledged.
#include <string>
#include <vector>

#include "lib/release/release_store.hpp"

namespace codops::ops {

// Of the damaged files those that may go where they are empty, for what they should have held is told by the others (the history's chain, the
// journal's numbers): not the record of a release that served, none of the history while an entry of it is told from a journal, none of an
// unfinished run's journal.
std::vector<std::string> may_go_when_empty(const release::Snapshot& snapshot);

}  // namespace codops::ops
