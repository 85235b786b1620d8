#pragma once
// Commands to type next, with the environment that they need.
#include <string>

#include "lib/backup/catalogue.hpp"

namespace codops::backup {

// A catalogue's folder is PROJECT/ENV.
inline std::string environment_of(const Catalogue& catalogue) { return catalogue.folder().substr(catalogue.folder().rfind('/') + 1); }
inline std::string see_list(const Catalogue& catalogue) { return "see: codops backup list " + environment_of(catalogue) + catalogue.reached_by(); }
inline std::string see_backup(const Catalogue& catalogue, const std::string& label) { return "see: codops backup show " + environment_of(catalogue) + " " + label + catalogue.reached_by(); }

}  // namespace codops::backup
