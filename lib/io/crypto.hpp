#pragma once
// Hashes, encodings, randomness and signatures, on libcrypto. The keys and ciphers of the age format are in
// crypto_age.hpp.
#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/secret.hpp"

namespace codops::io {

class Sha256 {
 public:
  Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  ~Sha256();
  Sha256& update(std::string_view bytes);
  std::string raw();  // 32 bytes; ends the computation
  std::string hex();  // 64 digits; ends the computation

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

std::string sha256_hex(std::string_view bytes);
std::string hmac_sha256(std::string_view key, std::string_view bytes);  // 32 raw bytes

std::string to_hex(std::string_view bytes);
std::optional<std::string> from_hex(std::string_view digits);
std::string to_base64(std::string_view bytes, bool padded = true);
std::string to_base64url(std::string_view bytes);  // RFC 4648, 5, without padding
// Strict: canonical trailing bits, no whitespace; padding present exactly when `padded`.
std::optional<std::string> from_base64(std::string_view text, bool padded = true);
std::optional<std::string> from_base64url(std::string_view text);

std::string random_bytes(std::size_t count);
bool equal_in_constant_time(std::string_view a, std::string_view b);
void wipe(std::string& bytes);  // overwrites and empties

// Ed25519 (RFC 8032), keys as their 32 raw bytes.
struct SigningKey {
  Secret seed;
  std::string public_key;
};
SigningKey new_signing_key();
SigningKey signing_key_from_seed(std::string_view seed);  // Failure{config} when it is not 32 bytes
std::string ed25519_sign(const SigningKey& key, std::string_view message);  // 64 bytes
bool ed25519_verify(std::string_view public_key, std::string_view message, std::string_view signature);

}  // namespace codops::io
