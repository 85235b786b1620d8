#pragma once
// Files that go with a release by content: read-only binds, configs and secrets from inside the project directory.
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "lib/compose/model.hpp"
#include "lib/release/release.hpp"

namespace codops::ops {

struct Travelling {
  std::vector<release::FileRef> files;
  std::set<std::string> replaced_mounts;  // targets of binds that these files stand for
};

// Adds the contents to `blobs` by SHA-256. Failure{config} for a missing file, one that is too large, a writable bind on
// a remote engine, or a file that lies outside the project. `reloads`: its files are replaced while it runs, as the proxy's are.
Travelling travelling_files(const compose::Project& project, const compose::Service& service, const std::filesystem::path& directory,
                            bool remote, bool reloads, std::map<std::string, std::string>& blobs);

}  // namespace codops::ops
