#pragma once
// A part on its way: bytes → SHA-256 → zstd → age → SHA-256 → store, and back. Memory is bounded whatever the size.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/backup/manifest.hpp"
#include "lib/backup/pieces.hpp"
#include "lib/io/byte_stream.hpp"
#include "lib/io/crypto.hpp"
#include "lib/io/crypto_age.hpp"
#include "lib/store/store.hpp"

namespace codops::backup {

// Who can read what is written, who vouches for it, and what is at hand to read it again.
struct Keyring {
  std::vector<io::age::Recipient> recipients;
  io::age::Keys identities;               // also holds the passphrase
  std::optional<io::SigningKey> signing;
  std::string trusted;                    // public key that manifests must be signed with; empty: any

  bool encrypts() const { return !recipients.empty() || !identities.passphrase.empty(); }
  bool can_read(bool by_passphrase) const {
    if (by_passphrase) return !identities.passphrase.empty();
    return !identities.identities.empty() || (identities.locked && !identities.passphrase.empty());
  }
};

struct PartOptions {
  int level{1};
  int threads{0};          // zstd workers beside the caller
  bool hash_plain{true};
};

class PartWriter final : public io::Writer {
 public:
  // `part` has name, kind and the like; the suffixes .zst and .age are added to the name here.
  PartWriter(store::Store& store, const std::string& folder, Part part, const PartOptions& options,
             const Keyring& keys, const Limits& limits);
  ~PartWriter() override;
  void write(std::string_view bytes) override;
  void finish() override;
  Part& part();   // what is learned while it is written goes here
  Part commit();  // durable, with sizes and hashes

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Decrypted and decompressed. At its end the stored bytes' SHA-256 is compared: Failure{data}. With `checked`, what an earlier
// read of all of it found, nothing else is passed on from the first byte.
class PartReader final : public io::Reader {
 public:
  PartReader(store::Store& store, const std::string& folder, const Part& part, const Keyring& keys,
             const Limits& limits, const Pieces* checked = nullptr);
  ~PartReader() override;
  std::size_t read(char* into, std::size_t size) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Reads the stored bytes once and compares size and SHA-256. Failure{data} names the part. Fills `pieces` on the way.
void check_stored(store::Store& store, const std::string& folder, const Part& part, const Limits& limits, Pieces* pieces = nullptr);

}  // namespace codops::backup
