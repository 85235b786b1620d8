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
  std::vector<std::string> folders;       // those of them that are folders: they hold these files and nothing of the image
  std::vector<std::string> notes;         // read-only binds that stay binds, and why
  std::vector<std::string> warnings;      // symbolic links that lead elsewhere than on this host
};

// Adds the contents to `blobs` by SHA-256. What another service writes, or is larger than a configuration, stays a bind. Failure{config} for a
// missing file, or a bind that stays one on a remote engine. `reloads`: its files are replaced while it runs, as the proxy's are.
// A symbolic link in a folder stays one, as in a bind: nothing that it leads to on this host is read.
Travelling travelling_files(const compose::Project& project, const compose::Service& service, const std::filesystem::path& directory,
                            bool remote, bool reloads, std::map<std::string, std::string>& blobs);

}  // namespace codops::ops
