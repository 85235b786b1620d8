#pragma once
// The header of an age file: stanzas, each wrapping the file key for one recipient, and their MAC.
#include <string>
#include <string_view>
#include <vector>

#include "lib/io/crypto_age.hpp"

namespace codops::io::age {

inline constexpr std::string_view version_line = "age-encryption.org/v1\n";
inline constexpr std::size_t file_key_size = 16;

struct Stanza {
  std::vector<std::string> arguments;  // the first is the type
  std::string body;                    // decoded
};

struct Header {
  std::vector<Stanza> stanzas;
  std::string mac;      // decoded, 32 bytes
  std::string covered;  // the bytes that the MAC is over: up to and with "---"
};

// Reads exactly the header and not a byte more; accepts only its canonical form. Throws AgeFailure{header}.
Header read_header(Reader& source);

// The text of a stanza, with its line ends.
std::string to_text(const Stanza& stanza);
// version line + stanzas + MAC line.
std::string sealed_header(const std::vector<Stanza>& stanzas, std::string_view file_key);

Stanza wrap_for(const Recipient& recipient, std::string_view file_key);
Stanza wrap_for(const Secret& passphrase, std::string_view file_key, int work_factor);
// The file key, from whichever stanza one of the keys opens, with the MAC checked. Throws AgeFailure header, no_match
// or hmac.
std::string unwrap(const Header& header, const Keys& keys);

// STREAM: the nonce of a chunk is an 11-byte big-endian counter and a byte that is 1 for the last chunk.
inline constexpr std::size_t chunk_size = 64U << 10U;
class ChunkNonce {
 public:
  std::string of(bool last) const;  // of the current chunk
  void advance() { ++counter_; }

 private:
  std::uint64_t counter_{};
};
std::string payload_key(std::string_view file_key, std::string_view nonce);

}  // namespace codops::io::age
