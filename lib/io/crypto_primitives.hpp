#pragma once
// What the age format is made of. Keys and nonces are raw bytes; a size that does not fit is a bug.
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace codops::io {

// HKDF (RFC 5869) with SHA-256, 32 bytes of output.
std::string hkdf_sha256(std::string_view key, std::string_view salt, std::string_view info);
// N = 2^log2_n, r = 8, p = 1, 32 bytes of output.
std::string scrypt(std::string_view passphrase, std::string_view salt, int log2_n);

std::string x25519_public(std::string_view secret);
// nullopt when the peer's point is of low order (the shared secret would be zero).
std::optional<std::string> x25519_shared(std::string_view secret, std::string_view peer);

// ChaCha20-Poly1305 (RFC 8439) with one key and many nonces of 12 bytes; the tag's 16 bytes follow the text.
class ChaChaPoly {
 public:
  explicit ChaChaPoly(std::string_view key);
  ~ChaChaPoly();
  ChaChaPoly(ChaChaPoly&&) noexcept;
  ChaChaPoly& operator=(ChaChaPoly&&) noexcept;
  static constexpr std::size_t tag_size = 16;
  void seal(std::string_view nonce, std::string_view plain, std::string& into);
  // False, and `into` empty, when it was not sealed with this key and nonce.
  bool open(std::string_view nonce, std::string_view sealed, std::string& into);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace codops::io
