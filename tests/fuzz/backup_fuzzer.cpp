// What somebody else may have written: age files, dumps, manifests, compressed bytes. They end in a value or a Failure.
// tests/fuzz/backup.sh builds and runs it. The first byte chooses the reader.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/backup/custom_archive.hpp"
#include "lib/backup/manifest.hpp"
#include "lib/base/failure.hpp"
#include "lib/io/bech32.hpp"
#include "lib/io/compression.hpp"
#include "lib/io/crypto_age.hpp"
#include "lib/io/row_digest.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text{reinterpret_cast<const char*>(data) + 1, size - 1};
  codops::io::TextReader in{text};
  try {
    switch (data[0] % 6) {
      case 0: {
        static const codops::io::age::Keys keys{
            {codops::io::age::parse_identity("AGE-SECRET-KEY-1EGTZVFFV20835NWYV6270LXYVK2VKNX2MMDKWYKLMGR48UAWX40Q2P2LM0")}, {}};
        codops::io::age::AgeReader reader{in, keys};
        codops::io::read_all(reader, 1U << 24U);
        break;
      }
      case 1: {
        codops::backup::ArchiveScanner scanner{{}};
        const auto half = text.size() / 2;
        scanner.feed(text.substr(0, half));
        scanner.feed(text.substr(half));
        scanner.finish();
        break;
      }
      case 2:
        codops::backup::parse_manifest(text);
        break;
      case 3: {
        codops::io::GzipReader reader{in};
        codops::io::read_all(reader, 1U << 22U);
        break;
      }
      case 4: {
        codops::io::ZstdReader reader{in};
        codops::io::read_all(reader, 1U << 22U);
        break;
      }
      default:
        codops::io::from_bech32(text);
        codops::io::RowDigest{}.feed(text);
    }
  } catch (const codops::Failure&) {
  }
  return 0;
}
