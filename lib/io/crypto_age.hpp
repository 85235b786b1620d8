#pragma once
// The age file format, version 1 (https://c2sp.org/age): X25519 recipients and passphrases (scrypt), in streams. What
// is written here is read by the `age` command, and the reverse.
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/failure.hpp"
#include "lib/base/secret.hpp"
#include "lib/io/byte_stream.hpp"

namespace codops::io::age {

// All are Exit::data except no_match, which is Exit::config.
class AgeFailure : public Failure {
 public:
  enum class Kind { header, hmac, no_match, payload, armor };
  AgeFailure(Kind kind, std::string message, std::string hint = {});
  Kind kind() const noexcept { return kind_; }

 private:
  Kind kind_;
};

struct Recipient {
  std::string public_key;  // 32 bytes
  std::string text() const;  // "age1…"
};
// Throws Failure{config} for anything but "age1…".
Recipient parse_recipient(std::string_view text);

struct Identity {
  Secret secret_key;  // 32 bytes
  Recipient recipient() const;
  Secret text() const;  // "AGE-SECRET-KEY-1…"
};
Identity new_identity();
Identity parse_identity(std::string_view text);
// An identity file: one a line, empty lines and '#' comments left out. Throws Failure{config}, naming the line.
std::vector<Identity> parse_identities(std::string_view file);

// An identity file that is an age file itself, as `age -p` makes it. It is opened when something can't be read without it: that
// takes a second and 256 MiB.
class ProtectedIdentities {
 public:
  // `name`: for messages. Nothing is looked at yet.
  ProtectedIdentities(std::string name, std::string file);
  ~ProtectedIdentities();
  ProtectedIdentities(const ProtectedIdentities&) = delete;
  ProtectedIdentities& operator=(const ProtectedIdentities&) = delete;
  const std::string& name() const { return name_; }
  // Any thread; opened once. Failure{config}: another passphrase; what is in it is no identities.
  const std::vector<Identity>& open(const Secret& passphrase);

 private:
  std::string name_, file_;
  std::mutex mutex_;
  std::vector<Identity> identities_;
};

struct Keys {
  std::vector<Identity> identities;
  Secret passphrase;  // empty: none
  std::shared_ptr<ProtectedIdentities> locked{};  // by that passphrase
};

// Encrypts to every recipient, or to the passphrase alone (age forbids both). The header is written at once.
class AgeWriter final : public Writer {
 public:
  AgeWriter(Writer& next, const std::vector<Recipient>& recipients);
  // 2^work_factor rounds of scrypt; 18 takes about a second and 256 MiB.
  AgeWriter(Writer& next, const Secret& passphrase, int work_factor = 18);
  ~AgeWriter() override;
  void write(std::string_view bytes) override;
  void finish() override;

 private:
  struct State;
  void start(Writer& next, const std::string& header, std::string file_key);
  std::unique_ptr<State> state_;
};

// Decrypts; text armour is recognised. The constructor reads the header and throws AgeFailure when no key fits. Each
// chunk is authenticated before any byte of it is handed out; truncation is noticed at the end, so whoever publishes
// what was read must wait for the 0 of read().
class AgeReader final : public Reader {
 public:
  AgeReader(Reader& source, const Keys& keys);
  ~AgeReader() override;
  std::size_t read(char* into, std::size_t size) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Whether it begins as an age file does, armoured or not.
bool looks_encrypted(std::string_view first_bytes);

}  // namespace codops::io::age
