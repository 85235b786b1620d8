#include "lib/io/crypto.hpp"

#include "lib/io/md5.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "lib/base/failure.hpp"
#include "lib/io/crypto_bytes.hpp"

namespace codops::io {
namespace {

struct FreeKey {
  void operator()(EVP_PKEY* key) const { ::EVP_PKEY_free(key); }
  void operator()(EVP_MD_CTX* context) const { ::EVP_MD_CTX_free(context); }
};
using Key = std::unique_ptr<EVP_PKEY, FreeKey>;
using Digest = std::unique_ptr<EVP_MD_CTX, FreeKey>;

std::string encode64(std::string_view bytes, std::string_view alphabet, bool padded) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const auto left = std::min<std::size_t>(3, bytes.size() - at);
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      group = (group << 8U) | (i < left ? static_cast<unsigned char>(bytes[at + i]) : 0U);
    }
    for (std::size_t i = 0; i < 4; ++i) {
      if (i <= left) {
        text += alphabet[(group >> (18U - 6U * i)) & 63U];
      } else if (padded) {
        text += '=';
      }
    }
  }
  return text;
}

constexpr std::string_view standard = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view url_safe = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

std::array<std::int8_t, 256> reversed(std::string_view alphabet) {
  std::array<std::int8_t, 256> table{};
  table.fill(-1);
  for (std::size_t i = 0; i < alphabet.size(); ++i) {
    table[static_cast<unsigned char>(alphabet[i])] = static_cast<std::int8_t>(i);
  }
  return table;
}

std::optional<std::string> decode64(std::string_view text, std::string_view alphabet, bool padded) {
  if (padded) {
    if (text.size() % 4 != 0) return std::nullopt;
    for (int i = 0; i < 2 && text.ends_with('='); ++i) text.remove_suffix(1);
  }
  if (text.size() % 4 == 1) return std::nullopt;
  const auto table = reversed(alphabet);
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3 + 2);
  std::uint32_t group = 0;
  unsigned bits = 0;
  for (const char c : text) {
    const auto value = table[static_cast<unsigned char>(c)];
    if (value < 0) return std::nullopt;
    group = (group << 6U) | static_cast<std::uint32_t>(value);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes += static_cast<char>((group >> bits) & 0xffU);
    }
  }
  if ((group & ((1U << bits) - 1U)) != 0U) return std::nullopt;
  return bytes;
}

Key private_key(std::string_view seed) {
  Key key{::EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, bytes_of(seed), seed.size())};
  if (!key) libcrypto_refuses("an Ed25519 key");
  return key;
}

}  // namespace

struct Sha256::Context {
  Digest digest{::EVP_MD_CTX_new()};
};

Sha256::Sha256() : context_{std::make_unique<Context>()} {
  if (::EVP_DigestInit_ex(context_->digest.get(), ::EVP_sha256(), nullptr) != 1) libcrypto_refuses("SHA-256");
}
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;
Sha256::~Sha256() = default;

Sha256& Sha256::update(std::string_view bytes) {
  if (::EVP_DigestUpdate(context_->digest.get(), bytes.data(), bytes.size()) != 1) libcrypto_refuses("SHA-256");
  return *this;
}

std::string Sha256::raw() {
  std::string result(32, '\0');
  if (::EVP_DigestFinal_ex(context_->digest.get(), bytes_of(result), nullptr) != 1) libcrypto_refuses("SHA-256");
  return result;
}

std::string Sha256::hex() { return to_hex(raw()); }

std::string sha256_hex(std::string_view bytes) { return Sha256{}.update(bytes).hex(); }

std::string md5(std::string_view bytes) {
  std::string result(16, '\0');
  unsigned size = 0;
  const bool known = ::EVP_Digest(bytes.data(), bytes.size(), bytes_of(result), &size, ::EVP_md5(), nullptr) == 1;
  return known && size == result.size() ? result : std::string{};
}

std::string hmac_sha256(std::string_view key, std::string_view bytes) {
  std::string result(32, '\0');
  unsigned size = 32;
  if (key.empty()) key = std::string_view{""};  // a null pointer would mean "the key of before"
  if (::HMAC(::EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes_of(bytes), bytes.size(),
             bytes_of(result), &size) == nullptr) {
    libcrypto_refuses("HMAC");
  }
  return result;
}

std::string to_hex(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const auto value = static_cast<unsigned char>(c);
    text += digits[value >> 4U];
    text += digits[value & 15U];
  }
  return text;
}

std::optional<std::string> from_hex(std::string_view digits) {
  const auto value = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  if (digits.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  for (std::size_t i = 0; i < digits.size(); i += 2) {
    const int high = value(digits[i]), low = value(digits[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes += static_cast<char>(high * 16 + low);
  }
  return bytes;
}

std::string to_base64(std::string_view bytes, bool padded) { return encode64(bytes, standard, padded); }
std::string to_base64url(std::string_view bytes) { return encode64(bytes, url_safe, false); }
std::optional<std::string> from_base64(std::string_view text, bool padded) { return decode64(text, standard, padded); }
std::optional<std::string> from_base64url(std::string_view text) { return decode64(text, url_safe, false); }

std::string random_bytes(std::size_t count) {
  std::string bytes(count, '\0');
  if (::RAND_bytes(bytes_of(bytes), static_cast<int>(count)) != 1) libcrypto_refuses("random bytes");
  return bytes;
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && ::CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

void wipe(std::string& bytes) {
  ::OPENSSL_cleanse(bytes.data(), bytes.size());
  bytes.clear();
}

SigningKey new_signing_key() { return signing_key_from_seed(random_bytes(32)); }

SigningKey signing_key_from_seed(std::string_view seed) {
  if (seed.size() != 32) throw Failure{Exit::config, "a signing key has 32 bytes", "make one with: codops backup keygen"};
  const auto key = private_key(seed);
  std::string shown(32, '\0');
  std::size_t size = shown.size();
  if (::EVP_PKEY_get_raw_public_key(key.get(), bytes_of(shown), &size) != 1) libcrypto_refuses("an Ed25519 key");
  return {Secret{std::string{seed}}, shown};
}

std::string ed25519_sign(const SigningKey& key, std::string_view message) {
  const auto secret = private_key(key.seed.reveal());
  const Digest context{::EVP_MD_CTX_new()};
  std::string signature(64, '\0');
  std::size_t size = signature.size();
  if (::EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, secret.get()) != 1 ||
      ::EVP_DigestSign(context.get(), bytes_of(signature), &size, bytes_of(message), message.size()) != 1) {
    libcrypto_refuses("to sign");
  }
  return signature;
}

bool ed25519_verify(std::string_view public_key, std::string_view message, std::string_view signature) {
  if (public_key.size() != 32 || signature.size() != 64) return false;
  const Key key{::EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bytes_of(public_key), public_key.size())};
  const Digest context{::EVP_MD_CTX_new()};
  return key && ::EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
         ::EVP_DigestVerify(context.get(), bytes_of(signature), signature.size(), bytes_of(message),
                            message.size()) == 1;
}

}  // namespace codops::io
