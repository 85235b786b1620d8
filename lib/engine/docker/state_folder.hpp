#pragma once
// A volume as a folder of this machine. The archive API starts a process of the engine for each read and write (60 to 100 ms); where the
// engine is a local one and we may enter its folders (root), they are read where they are, and what is new is written there.
#include <optional>
#include <string>
#include <vector>

#include "lib/engine/docker/api.hpp"
#include "lib/io/fd.hpp"
#include "lib/target/state.hpp"

namespace codops::engine::docker {

// `mountpoint` as the engine says it; `engine_says`: its stat of the same folder. A socket may lead to another machine (ssh -L, a VM) whose
// path exists here too: it is the same folder when both were changed in the same nanosecond. Invalid: it isn't, or can't be entered.
io::Fd open_state_folder(const std::string& mountpoint, const Api::PathStat& engine_says);

// Regular files alone: a link is no state. They throw Failure{failed} with the system's reason, Failure{data} beyond `most_bytes`.
// nullopt: there is no such path, or it is a folder.
std::optional<std::string> read_state_file(const io::Fd& folder, const std::string& path, std::uint64_t most_bytes);
// All below `path` ("": the folder itself), in no order. A path that isn't there, or is a file, has none.
std::vector<target::StateStore::File> read_state_files(const io::Fd& folder, const std::string& path, std::uint64_t most_bytes);

// New files, each whole and on the disk (file, name, folders above it) before the next begins; folders 0700, files as they say, as the archive API
// would have them. false: something of that name is there, or the system refuses; then none of them is there.
bool add_state_files(const io::Fd& folder, const std::vector<target::StateStore::File>& files);
// Of the same files, those that are there.
void take_back_state_files(const io::Fd& folder, const std::vector<target::StateStore::File>& files);

}  // namespace codops::engine::docker
