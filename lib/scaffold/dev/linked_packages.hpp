#pragma once
// Packages that a developer has put into node_modules by hand: links to sources elsewhere (`npm link`, `pnpm link`, `yarn link`),
// and git checkouts. A clean install removes both. Links are noted before it and put back after it, by whichever run gets that far.
#include <filesystem>
#include <string>
#include <vector>

#include "lib/scaffold/dev/packages.hpp"

namespace codops::scaffold::dev {

struct LinkedPackage {
  std::string name;      // "@shop/money"
  std::string link;      // what the link says: "../../../money"
  std::string leads_to;  // the folder behind it, resolved
};

// Links that leave the project; those inside it are the package manager's own. In the order of names.
std::vector<LinkedPackage> linked_packages(const std::filesystem::path& project, const Package& package);
// Names of packages that are git checkouts inside node_modules.
std::vector<std::string> checked_out_packages(const std::filesystem::path& project, const Package& package);

// Writes down the links of now, beside those that a run noted and never put back. `folder`: .codops/dev.
void note_links(const std::filesystem::path& folder, const std::filesystem::path& project, const Package& package);
// Puts the noted ones back over what was installed in their place, then drops the note. Where the manager has made a link out of
// the project itself (a `file:` dependency), that one stays. Returns those that are links now; sources that are gone are left out.
std::vector<LinkedPackage> restore_links(const std::filesystem::path& folder, const std::filesystem::path& project, const Package& package);

}  // namespace codops::scaffold::dev
