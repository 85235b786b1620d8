#pragma once
// The archive API answers when files are in the engine's page cache; a power cut may still take them. Where the engine's volume is a folder of
// this machine that we may enter (root, a local engine), they are brought to the disk.
#include <string>
#include <vector>

namespace codops::engine::docker {

// `folder`: the volume's mountpoint as the engine says it; `paths`: files below it. Their folders too, whose entries name them.
// Never fails: elsewhere (a remote engine, a user of the docker group) the kernel writes them back within about 30 s.
void bring_to_disk(const std::string& folder, const std::vector<std::string>& paths) noexcept;

}  // namespace codops::engine::docker
