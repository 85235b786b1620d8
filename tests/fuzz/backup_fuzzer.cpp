// What somebody else may have written: age files, dumps, manifests, compressed bytes, RDB files, tar, what stores answer. They end in a value or a Failure.
// tests/fuzz/backup.sh builds and runs it. The first byte chooses the reader.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "lib/backup/custom_archive.hpp"
#include "lib/backup/dump_needs.hpp"
#include "lib/backup/manifest.hpp"
#include "lib/backup/metrics.hpp"
#include "lib/backup/rdb.hpp"
#include "lib/backup/sql_script.hpp"
#include "lib/base/failure.hpp"
#include "lib/io/bech32.hpp"
#include "lib/io/compression.hpp"
#include "lib/io/crypto_age.hpp"
#include "lib/io/row_digest.hpp"
#include "lib/io/tar.hpp"
#include "lib/store/lock_text.hpp"
#include "lib/store/s3_xml.hpp"

namespace {

struct Nowhere final : codops::io::Writer {
  void write(std::string_view) override {}
  void finish() override {}
};

// What is passed on must be what was there, whatever is in it.
void read_sql(std::string_view text) {
  codops::io::TextReader in{text};
  std::string passed;
  codops::backup::SqlScript script{in, &passed};
  codops::backup::DumpNeeds needs;
  needs.begins(text);
  char rows[97];
  while (const auto statement = script.next()) {
    needs.statement(statement->sql);
    if (!statement->copies || text.size() % 2 == 0) continue;  // else it passes over them by itself
    while (script.rows(rows, sizeof rows) > 0) {
    }
  }
  needs.identity(false);
}

void read_all_rdb(std::string_view text, bool values) {
  codops::io::TextReader in{text};
  Nowhere nowhere;
  const codops::backup::RdbCopy copy{nowhere, {1}};
  codops::backup::read_rdb(in, {[](const auto&, auto) {}, [](auto) {}}, values, &copy);
}

// CODOPS_FUZZ_READER holds it to one.
int reader_of(std::uint8_t first) {
  static const char* only = std::getenv("CODOPS_FUZZ_READER");
  return only != nullptr ? std::atoi(only) : first % 12;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text{reinterpret_cast<const char*>(data) + 1, size - 1};
  codops::io::TextReader in{text};
  try {
    switch (reader_of(data[0])) {
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
      case 5:
        read_sql(text);
        break;
      case 6:
        read_all_rdb(text, false);
        break;
      case 7:
        read_all_rdb(text, true);
        break;
      case 8:
        codops::io::read_tar(codops::io::bytes_of(text), 1U << 20U);
        break;
      case 9:
        codops::store::parse_list_page(text);
        codops::store::xml_texts(text, "Key");
        break;
      case 10:
        codops::store::parse_lock_text(std::string{text});
        codops::backup::from_exposition(text, "test");
        break;
      case 11:
        codops::io::from_bech32(text);
        codops::io::RowDigest{}.feed(text);
        break;
      default:
        return -1;
    }
  } catch (const codops::Failure&) {
  }
  return 0;
}
