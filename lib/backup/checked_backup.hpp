#pragma once
// A backup of which every stored byte was read and is what its manifest says. What it is restored from is that and nothing
// else, whatever is in the store by then.
#include <map>
#include <string>
#include <vector>

#include "lib/backup/catalogue.hpp"
#include "lib/backup/part_stream.hpp"

namespace codops::backup {

class CheckedBackup {
 public:
  // Reads these parts, and the first one's header with the key. Failure{data}: they are not what they should be. Keeps the references.
  CheckedBackup(Catalogue& catalogue, const Manifest& manifest, const std::vector<const Part*>& parts, const Keyring& keys, const Limits& limits);

  const Manifest& manifest() const { return manifest_; }
  // One of those parts.
  PartReader open(const Part& part, const Limits& limits) const;

 private:
  std::string folder() const { return catalogue_.folder() + "/" + manifest_.label; }
  Catalogue& catalogue_;
  const Manifest& manifest_;
  const Keyring& keys_;
  std::map<std::string, Pieces> pieces_;  // by the part's name
};

}  // namespace codops::backup
