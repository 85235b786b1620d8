#pragma once
// Is a backup whole? With a key every byte is decrypted, decompressed, parsed and its rows counted and hashed; without
// one the stored bytes are compared with their SHA-256.
#include <string>

#include "lib/backup/catalogue.hpp"
#include "lib/backup/part_stream.hpp"
#include "lib/backup/progress.hpp"

namespace codops::backup {

struct Verification {
  bool whole{};
  bool read{};         // down to the rows; false: only the stored bytes were compared
  bool untrusted{};    // not signed by the key that this reader trusts: nothing was looked at
  std::string damage;  // what is wrong, with the part's name
  std::uint64_t rows{};
  std::string unrecorded{};  // why the store took no note of it
};

// Never throws for damage: that is the answer. Records it in the backup's marks; what depends on who reads (the key that is
// trusted, the identity at hand) is never recorded.
Verification verify(Catalogue& catalogue, const Entry& entry, const Keyring& keys, WallTime now, Progress& progress,
                    const Limits& limits);

}  // namespace codops::backup
