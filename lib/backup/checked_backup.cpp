#include "lib/backup/checked_backup.hpp"

namespace codops::backup {

CheckedBackup::CheckedBackup(Catalogue& catalogue, const Manifest& manifest, const std::vector<const Part*>& parts, const Keyring& keys, const Limits& limits)
    : catalogue_{catalogue}, manifest_{manifest}, keys_{keys} {
  for (const auto* part : parts) {
    Pieces pieces;
    check_stored(catalogue.store(), folder(), *part, limits, &pieces);
    pieces_[part->name] = std::move(pieces);
  }
  if (!parts.empty()) const auto opened = open(*parts.front(), limits);
}

PartReader CheckedBackup::open(const Part& part, const Limits& limits) const {
  const auto checked = pieces_.find(part.name);
  if (checked == pieces_.end()) throw Failure{Exit::bug, fmt::format("\"{}\" is restored without having been checked", part.name)};
  return PartReader{catalogue_.store(), folder(), part, keys_, limits, &checked->second};
}

}  // namespace codops::backup
