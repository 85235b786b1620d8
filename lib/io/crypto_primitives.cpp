#include "lib/io/crypto_primitives.hpp"

#include <openssl/evp.h>
#include <openssl/kdf.h>

#include "lib/base/failure.hpp"
#include "lib/io/crypto.hpp"
#include "lib/io/crypto_bytes.hpp"

namespace codops::io {
namespace {

struct FreeExchange {
  void operator()(EVP_PKEY* key) const { ::EVP_PKEY_free(key); }
  void operator()(EVP_PKEY_CTX* context) const { ::EVP_PKEY_CTX_free(context); }
  void operator()(EVP_CIPHER_CTX* context) const { ::EVP_CIPHER_CTX_free(context); }
};
using ExchangeKey = std::unique_ptr<EVP_PKEY, FreeExchange>;

ExchangeKey x25519_secret(std::string_view secret) {
  ExchangeKey key{::EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, bytes_of(secret), secret.size())};
  if (!key) libcrypto_refuses("an X25519 key");
  return key;
}

}  // namespace

std::string hkdf_sha256(std::string_view key, std::string_view salt, std::string_view info) {
  const auto extracted = hmac_sha256(salt, key);
  return hmac_sha256(extracted, std::string{info} + '\x01');
}

std::string scrypt(std::string_view passphrase, std::string_view salt, int log2_n) {
  constexpr std::uint64_t r = 8, p = 1;
  const auto n = std::uint64_t{1} << static_cast<unsigned>(log2_n);
  const auto memory = 128 * r * n + (2U << 20U);
  std::string key(32, '\0');
  if (::EVP_PBE_scrypt(passphrase.data(), passphrase.size(), bytes_of(salt), salt.size(), n, r, p, memory,
                       bytes_of(key), key.size()) != 1) {
    throw Failure{Exit::failed, fmt::format("no {} MiB of memory to derive a key from the passphrase", memory >> 20U)};
  }
  return key;
}

std::string x25519_public(std::string_view secret) {
  const auto key = x25519_secret(secret);
  std::string shown(32, '\0');
  std::size_t size = shown.size();
  if (::EVP_PKEY_get_raw_public_key(key.get(), bytes_of(shown), &size) != 1) libcrypto_refuses("an X25519 key");
  return shown;
}

std::optional<std::string> x25519_shared(std::string_view secret, std::string_view peer) {
  const auto own = x25519_secret(secret);
  const ExchangeKey other{::EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nullptr, bytes_of(peer), peer.size())};
  if (!other) libcrypto_refuses("an X25519 key");
  const std::unique_ptr<EVP_PKEY_CTX, FreeExchange> context{::EVP_PKEY_CTX_new(own.get(), nullptr)};
  std::string shared(32, '\0');
  std::size_t size = shared.size();
  if (::EVP_PKEY_derive_init(context.get()) != 1 || ::EVP_PKEY_derive_set_peer(context.get(), other.get()) != 1 ||
      ::EVP_PKEY_derive(context.get(), bytes_of(shared), &size) != 1 || shared == std::string(32, '\0')) {
    return std::nullopt;
  }
  return shared;
}

struct ChaChaPoly::State {
  std::string key;
  std::unique_ptr<EVP_CIPHER_CTX, FreeExchange> context{::EVP_CIPHER_CTX_new()};
  ~State() { wipe(key); }
};

ChaChaPoly::ChaChaPoly(std::string_view key) : state_{new State{std::string{key}}} {}
ChaChaPoly::~ChaChaPoly() = default;
ChaChaPoly::ChaChaPoly(ChaChaPoly&&) noexcept = default;
ChaChaPoly& ChaChaPoly::operator=(ChaChaPoly&&) noexcept = default;

void ChaChaPoly::seal(std::string_view nonce, std::string_view plain, std::string& into) {
  auto* context = state_->context.get();
  into.resize(plain.size() + tag_size);
  int size = 0, rest = 0;
  if (::EVP_EncryptInit_ex(context, ::EVP_chacha20_poly1305(), nullptr, bytes_of(state_->key), bytes_of(nonce)) != 1 ||
      ::EVP_EncryptUpdate(context, bytes_of(into), &size, bytes_of(plain), static_cast<int>(plain.size())) != 1 ||
      ::EVP_EncryptFinal_ex(context, bytes_of(into) + size, &rest) != 1 ||
      ::EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, static_cast<int>(tag_size),
                            into.data() + plain.size()) != 1) {
    libcrypto_refuses("to encrypt");
  }
}

bool ChaChaPoly::open(std::string_view nonce, std::string_view sealed, std::string& into) {
  into.clear();
  if (sealed.size() < tag_size) return false;
  auto* context = state_->context.get();
  const auto text = sealed.substr(0, sealed.size() - tag_size);
  std::string tag{sealed.substr(text.size())};
  into.resize(text.size());
  int size = 0, rest = 0;
  if (::EVP_DecryptInit_ex(context, ::EVP_chacha20_poly1305(), nullptr, bytes_of(state_->key), bytes_of(nonce)) == 1 &&
      ::EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, static_cast<int>(tag_size), tag.data()) == 1 &&
      ::EVP_DecryptUpdate(context, bytes_of(into), &size, bytes_of(text), static_cast<int>(text.size())) == 1 &&
      ::EVP_DecryptFinal_ex(context, bytes_of(into) + size, &rest) == 1) {
    return true;
  }
  wipe(into);
  return false;
}

}  // namespace codops::io
