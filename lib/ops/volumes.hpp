#pragma once
// Volumes of an environment's containers, for backup and restore.
#include "lib/backup/files_part.hpp"
#include "lib/ops/host.hpp"

namespace codops::ops {

// The volume by the engine's own name, or by the compose file's ("uploads" is "shop_uploads" of the project "shop").
// Failure{config} from with_container() when no container has it. `host` must outlive the place.
backup::FilesPlace volume_place(Host& host, const std::string& volume);

}  // namespace codops::ops
