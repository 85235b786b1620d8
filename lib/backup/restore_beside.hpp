#pragma once
// What a backup holds beside the database, as far as a restore here wants it. Only for sources of lib/backup.
#include <string>
#include <utility>
#include <vector>

#include "lib/backup/restore.hpp"

namespace codops::backup {

// What stands beside the database in the backup, and has a place here.
struct Beside {
  const Part* redis{};
  std::vector<std::pair<const Part*, const FilesPlace*>> files;
};

// `notes`: what is left out, and why. Failure{usage}: request.parts names what there is not; `see`: where to look.
Beside beside_database(const Manifest& manifest, const Subject& subject, const RestoreRequest& request, const std::string& see, std::vector<std::string>& notes);
// All that the restore will read.
std::vector<const Part*> parts_to_read(const Manifest& manifest, const Beside& beside, bool with_database);

}  // namespace codops::backup
