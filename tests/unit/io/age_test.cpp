#include "lib/io/crypto_age.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "lib/io/bech32.hpp"
#include "lib/io/compression.hpp"
#include "lib/io/crypto.hpp"
#include "lib/io/files.hpp"
#include "lib/io/process.hpp"

using namespace codops;
using namespace codops::io;
namespace fs = std::filesystem;

namespace {

std::string decrypt(std::string_view file, const age::Keys& keys) {
  TextReader in{file};
  age::AgeReader reader{in, keys};
  return read_all(reader, 1U << 30U);
}

std::string encrypt(std::string_view text, const std::vector<age::Recipient>& recipients, std::size_t step = 10'007) {
  TextWriter out;
  age::AgeWriter writer{out, recipients};
  for (std::size_t at = 0; at < text.size(); at += step) writer.write(text.substr(at, step));
  writer.finish();
  return out.text;
}

// A vector of C2SP/CCTV: fields, an empty line, the file (perhaps zlib-compressed).
struct Vector {
  std::string expect, payload, file;
  age::Keys keys;
};

std::optional<Vector> read_vector(const fs::path& path) {
  const auto text = read_file(path);
  Vector vector;
  bool compressed = false;
  std::size_t at = 0;
  for (;;) {
    const auto end = text.find('\n', at);
    const auto line = text.substr(at, end - at);
    at = end + 1;
    if (line.empty()) break;
    const auto colon = line.find(": ");
    const auto name = line.substr(0, colon), value = line.substr(colon + 2);
    if (name == "expect") vector.expect = value;
    if (name == "payload") vector.payload = value;
    if (name == "passphrase") vector.keys.passphrase = Secret{value};
    if (name == "compressed") compressed = true;
    if (name == "identity") {
      if (value.starts_with("AGE-SECRET-KEY-PQ-")) return std::nullopt;  // ML-KEM: not in OpenSSL 3.0
      vector.keys.identities.push_back(age::parse_identity(value));
    }
  }
  vector.file = text.substr(at);
  if (compressed) {
    TextReader in{vector.file};
    GzipReader zlib{in};
    vector.file = read_all(zlib, 1U << 30U);
  }
  return vector;
}

struct Answer {
  std::string result, payload;
};

Answer answer(const Vector& vector) {
  std::string released;
  try {
    TextReader in{vector.file};
    age::AgeReader reader{in, vector.keys};
    std::array<char, 70'000> buffer{};
    while (const auto got = reader.read(buffer.data(), buffer.size())) released.append(buffer.data(), got);
    return {"success", sha256_hex(released)};
  } catch (const age::AgeFailure& failure) {
    using Kind = age::AgeFailure::Kind;
    const std::map<Kind, std::string> names{{Kind::header, "header failure"},
                                            {Kind::hmac, "HMAC failure"},
                                            {Kind::no_match, "no match"},
                                            {Kind::payload, "payload failure"},
                                            {Kind::armor, "armor failure"}};
    return {names.at(failure.kind()), sha256_hex(released)};
  }
}

}  // namespace

TEST_CASE("age: the C2SP vectors give the results that they state") {
  const char* data = std::getenv("CODOPS_TEST_DATA");
  if (data == nullptr || !fs::is_directory(fs::path{data} / "age")) {
    MESSAGE("skipped: CODOPS_TEST_DATA names no folder with age vectors");
    return;
  }
  std::size_t checked = 0, post_quantum = 0;
  for (const auto& entry : fs::directory_iterator{fs::path{data} / "age"}) {
    const auto vector = read_vector(entry.path());
    if (!vector || entry.path().filename().string().starts_with("hybrid")) {
      ++post_quantum;
      continue;
    }
    CAPTURE(entry.path().filename().string());
    const auto got = answer(*vector);
    CHECK(got.result == vector->expect);
    if (!vector->payload.empty()) CHECK(got.payload == vector->payload);
    ++checked;
  }
  CHECK(checked >= 120);
  MESSAGE(checked, " vectors, ", post_quantum, " left out (post-quantum recipients)");
}

TEST_CASE("age: what is encrypted comes back, whatever the size") {
  const auto identity = age::new_identity(), other = age::new_identity();
  for (const std::size_t size : {0U, 1U, 65535U, 65536U, 65537U, 131072U, 300'000U}) {
    CAPTURE(size);
    const auto text = random_bytes(size);
    for (const std::size_t step : {1'000'000U, 65536U, 999U}) {
      const auto file = encrypt(text, {other.recipient(), identity.recipient()}, step);
      CHECK(age::looks_encrypted(file));
      CHECK(decrypt(file, {{identity}, {}}) == text);
    }
  }
}

TEST_CASE("age: a wrong key and reordered chunks let no plaintext out") {
  const auto identity = age::new_identity();
  const auto text = random_bytes(3 * 65536);
  auto file = encrypt(text, {identity.recipient()});
  try {
    decrypt(file, {{age::new_identity()}, {}});
    FAIL("a stranger's key opened it");
  } catch (const age::AgeFailure& failure) {
    CHECK(failure.kind() == age::AgeFailure::Kind::no_match);
    CHECK(failure.code() == Exit::config);
  }
  const auto start = file.size() - 3 * (65536 + 16);
  const std::size_t chunk = 65536 + 16;
  const auto swapped = file.substr(0, start) + file.substr(start + chunk, chunk) + file.substr(start, chunk) +
                       file.substr(start + 2 * chunk);
  TextReader in{swapped};
  age::AgeReader reader{in, {{identity}, {}}};
  char byte = 0;
  CHECK_THROWS_AS(reader.read(&byte, 1), age::AgeFailure);
}

TEST_CASE("age: every flipped byte of a small file is noticed") {
  const auto identity = age::new_identity();
  const auto file = encrypt("attack at dawn", {identity.recipient()});
  for (std::size_t at = 0; at < file.size(); ++at) {
    auto damaged = file;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    CAPTURE(at);
    CHECK_THROWS_AS(decrypt(damaged, {{identity}, {}}), Failure);
    CHECK_THROWS_AS(decrypt(std::string_view{file}.substr(0, at), {{identity}, {}}), Failure);
  }
}

TEST_CASE("age: passphrases") {
  TextWriter out;
  age::AgeWriter writer{out, Secret{"correct horse"}, 10};
  writer.write("text");
  writer.finish();
  CHECK(decrypt(out.text, {{}, Secret{"correct horse"}}) == "text");
  CHECK_THROWS_AS(decrypt(out.text, {{}, Secret{"wrong horse"}}), age::AgeFailure);
  CHECK_THROWS_AS(decrypt(out.text, {}), age::AgeFailure);
}

TEST_CASE("age: an identity file that a passphrase protects is opened when it is needed, and only then") {
  const auto identity = age::new_identity();
  const auto sealed = [](const std::string& text) {
    TextWriter out;
    age::AgeWriter writer{out, Secret{"correct horse"}, 10};
    writer.write(text);
    writer.finish();
    return out.text;
  };
  TextWriter out;
  age::AgeWriter writer{out, {identity.recipient()}};
  writer.write("text");
  writer.finish();
  const auto file = sealed("# made today\n" + identity.text().reveal() + "\n");
  const auto keys = [&](const std::string& content, const char* passphrase) { return age::Keys{{}, Secret{passphrase}, std::make_shared<age::ProtectedIdentities>("key.age", content)}; };
  CHECK(decrypt(out.text, keys(file, "correct horse")) == "text");
  // One of several workers opens it, the others wait for it.
  const auto shared = keys(file, "correct horse");
  std::vector<std::jthread> workers;
  std::atomic<int> read{0};
  for (int i = 0; i < 4; ++i) workers.emplace_back([&] { read += decrypt(out.text, shared) == "text" ? 1 : 0; });
  workers.clear();
  CHECK(read == 4);
  // What another identity opens does not ask for it.
  auto beside = keys("no age file", "correct horse");
  beside.identities = {identity};
  CHECK(decrypt(out.text, beside) == "text");
  for (const auto& [content, passphrase] : {std::pair{file, "wrong horse"}, {file.substr(0, file.size() - 1), "correct horse"}, {sealed("nothing"), "correct horse"}}) {
    try {
      decrypt(out.text, keys(content, passphrase));
      FAIL("it was opened");
    } catch (const Failure& failure) {
      CHECK(failure.code() == Exit::config);
      CHECK(failure.message().find("key.age") != std::string::npos);
      CHECK_FALSE(failure.hint().empty());
    }
  }
}

TEST_CASE("age: keys as text, and what is no key") {
  const auto identity = age::new_identity();
  CHECK(age::parse_identity(identity.text().reveal()).secret_key == identity.secret_key);
  CHECK(age::parse_recipient(identity.recipient().text()).public_key == identity.recipient().public_key);
  CHECK(age::parse_identities("# made today\n\n" + identity.text().reveal() + "\r\n").size() == 1);
  CHECK_THROWS_AS(age::parse_identities("# nothing\n"), Failure);
  for (const auto& bad : {std::string{"age1"}, std::string{"ssh-ed25519 AAAA"}, identity.text().reveal(),
                          identity.recipient().text() + "q"}) {
    CHECK_THROWS_AS(age::parse_recipient(bad), Failure);
  }
  CHECK_THROWS_AS(age::parse_identity(identity.recipient().text()), Failure);
  // BIP 173.
  CHECK(from_bech32("A12UEL5L"));
  CHECK_FALSE(from_bech32("A12uEL5L"));
  CHECK_FALSE(from_bech32("pzry9x0s0muk"));
}

TEST_CASE("age: the age command reads ours, and we read its, armoured too") {
  if (!find_program("age") || !find_program("age-keygen")) {
    MESSAGE("skipped: the age command is not installed");
    return;
  }
  const TemporaryFolder folder;
  const auto identity = age::new_identity();
  const auto key_file = folder.path() / "key", plain_file = folder.path() / "plain", ours = folder.path() / "ours";
  write_file(key_file, identity.text().reveal() + "\n");
  const auto text = random_bytes(200'000);
  write_file(plain_file, text);
  write_file(ours, encrypt(text, {identity.recipient()}));
  CHECK(capture({{"age", "-d", "-i", key_file.string(), ours.string()}, {}, {}}, Limits{}) == text);
  CHECK(capture({{"age-keygen", "-y", key_file.string()}, {}, {}}, Limits{}) == identity.recipient().text() + "\n");
  for (const bool armoured : {false, true}) {
    Program program{{"age", "-r", identity.recipient().text()}, {}, {}};
    if (armoured) program.argv.emplace_back("-a");
    program.argv.push_back(plain_file.string());
    CHECK(decrypt(capture(program, Limits{}), {{identity}, {}}) == text);
  }
}
