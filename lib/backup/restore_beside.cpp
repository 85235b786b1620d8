#include "lib/backup/restore_beside.hpp"

#include <algorithm>

#include "lib/backup/restore_steps.hpp"
#include "lib/base/failure.hpp"

namespace codops::backup {

Beside beside_database(const Manifest& manifest, const Subject& subject, const RestoreRequest& request, const std::string& see, std::vector<std::string>& notes) {
  Beside found;
  for (const auto& part : manifest.parts) {
    if (part.kind == "redis" && request.wants("redis")) {
      if (subject.redis) found.redis = &part;
      else notes.push_back("the backup has Redis, which backup.redis does not name here: it is left out");
    }
    if (part.kind != "files" || !request.wants(part.subject)) continue;
    const auto place = std::find_if(subject.files.begin(), subject.files.end(), [&](const auto& one) { return one.name == part.subject; });
    if (place != subject.files.end()) found.files.emplace_back(&part, &*place);
    else notes.push_back(fmt::format("the backup has \"{}\", which backup.volumes does not name here: it is left out", part.subject));
  }
  for (const auto& name : request.parts) {
    const bool known = name == "database" || (name == "redis" && found.redis != nullptr) ||
                       std::any_of(found.files.begin(), found.files.end(), [&](const auto& one) { return one.first->subject == name; });
    if (!known) throw Failure{Exit::usage, fmt::format("the backup has no part \"{}\" that could be restored here", name), see};
  }
  return found;
}

std::vector<const Part*> parts_to_read(const Manifest& manifest, const Beside& beside, bool with_database) {
  auto parts = with_database ? database_parts(manifest) : std::vector<const Part*>{};
  if (beside.redis != nullptr) parts.push_back(beside.redis);
  for (const auto& [part, place] : beside.files) parts.push_back(part);
  return parts;
}

}  // namespace codops::backup
