#pragma once
// Unpacking what was backed up, rather than what somebody else packed: setuid and setgid come along.
#include "lib/io/tar.hpp"

namespace codops::io {

struct UnpackedOwn {
  Unpacked unpacked;
  std::uint64_t less_special{};  // files and folders that lost a setuid or setgid bit: only root can give it, with the owner
};
// As unpack_tar(), refusals included.
UnpackedOwn unpack_own_tar(TarReader& reader, const std::filesystem::path& folder, std::size_t strip);

}  // namespace codops::io
