#include "lib/io/crypto.hpp"

#include <doctest/doctest.h>

#include "lib/base/failure.hpp"

using namespace codops;
using namespace codops::io;

TEST_CASE("SHA-256 and HMAC-SHA256 give the published values") {
  CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Sha256 parts;
  parts.update("a").update("").update("bc");
  CHECK(parts.hex() == sha256_hex("abc"));
  // RFC 4231, test case 2.
  CHECK(to_hex(hmac_sha256("Jefe", "what do ya want for nothing?")) ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST_CASE("encodings come back, and malformed text is refused") {
  const std::string bytes{"\x00\xff\x10 codops", 10};
  CHECK(from_hex(to_hex(bytes)) == bytes);
  CHECK_FALSE(from_hex("abc"));
  CHECK_FALSE(from_hex("zz"));
  CHECK(to_base64("fo") == "Zm8=");
  CHECK(to_base64("fo", false) == "Zm8");
  CHECK(to_base64url("\xfb\xff") == "-_8");
  for (std::size_t size = 0; size < 9; ++size) {
    CHECK(from_base64(to_base64(bytes.substr(0, size))) == bytes.substr(0, size));
    CHECK(from_base64url(to_base64url(bytes.substr(0, size))) == bytes.substr(0, size));
  }
  for (const char* bad : {"Zm8", "Zm9=", "Z", "Zm8 ", "Zm8=\n", "====", "Z==="}) {
    CAPTURE(bad);
    CHECK_FALSE(from_base64(bad));
  }
  CHECK_FALSE(from_base64("Zm9", false));
}

TEST_CASE("random bytes differ, comparison looks at all of them") {
  CHECK(random_bytes(16) != random_bytes(16));
  CHECK(equal_in_constant_time("abc", "abc"));
  CHECK_FALSE(equal_in_constant_time("abc", "abd"));
  CHECK_FALSE(equal_in_constant_time("abc", "abcd"));
}

TEST_CASE("Ed25519 signs as RFC 8032 says, and a changed bit is noticed") {
  const auto key = signing_key_from_seed(*from_hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"));
  CHECK(to_hex(key.public_key) == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
  auto signature = ed25519_sign(key, "");
  CHECK(to_hex(signature) ==
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe2465"
        "5141438e7a100b");
  CHECK(ed25519_verify(key.public_key, "", signature));
  CHECK_FALSE(ed25519_verify(key.public_key, "x", signature));
  signature[3] = static_cast<char>(signature[3] ^ 1);
  CHECK_FALSE(ed25519_verify(key.public_key, "", signature));
  CHECK_FALSE(ed25519_verify(new_signing_key().public_key, "", ed25519_sign(key, "")));
  CHECK_THROWS_AS(signing_key_from_seed("short"), Failure);
}
