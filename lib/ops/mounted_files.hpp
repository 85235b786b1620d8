#pragma once
// Files of a release in its containers. Those that can't be put into a container's own layer (a read-only root, a tmpfs over the place) are
// mounted from the volume that keeps the state, one by one. A mounted folder is a volume without a name: what the image has there is
// not seen, as with a bind.
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <vector>

#include "lib/base/cancel.hpp"
#include "lib/engine/docker/api.hpp"
#include "lib/io/tar.hpp"
#include "lib/release/release.hpp"

namespace codops::ops {

// Of an archive for the container's root. Of a link the content is what it leads to.
io::TarEntry entry_of(const release::FileRef& file, std::string content);

// Adds the mounts of those of `files` that are mounted to the JSON body of POST /containers/create. Failure{data} where the state is gone.
void add_mounts(nlohmann::json& body, const std::vector<release::FileRef>& files, engine::docker::Api& api, const std::string& project, const Limits& limits);

// The same for folders: {"Type": "volume", "Target": …, "VolumeOptions": {"NoCopy": true, "Labels": …}}.
void add_folders(nlohmann::json& body, const std::vector<std::string>& folders, const std::string& project);
// Where such a body has them.
std::set<std::string> folders_in(const nlohmann::json& body);
// Whether a folder of this service's files is mounted there.
bool is_folder_of_files(const release::ServiceRecord& service, const std::string& destination);
// Removes the folders whose containers are gone.
void remove_unused_folders(engine::docker::Api& api, const std::string& project, const Limits& limits);

}  // namespace codops::ops
