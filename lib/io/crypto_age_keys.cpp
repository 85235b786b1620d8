// Keys as text, and the wrapping of a file key for a recipient or a passphrase.
#include "lib/io/bech32.hpp"
#include "lib/io/crypto.hpp"
#include "lib/io/crypto_age_header.hpp"
#include "lib/io/crypto_primitives.hpp"

namespace codops::io::age {
namespace {

constexpr std::string_view x25519_info = "age-encryption.org/v1/X25519";
constexpr std::string_view scrypt_label = "age-encryption.org/v1/scrypt";
constexpr std::string_view identity_prefix = "age-secret-key-";
// 2^20 rounds take 1 GiB of memory; the age command writes 18.
constexpr int largest_work_factor = 20;
constexpr std::size_t wrapped_size = file_key_size + ChaChaPoly::tag_size;

const std::string& zero_nonce() {
  static const std::string nonce(12, '\0');
  return nonce;
}

[[noreturn]] void bad_stanza(std::string_view why) {
  throw AgeFailure{AgeFailure::Kind::header, fmt::format("the age header is malformed: {}", why)};
}

std::string sealed_file_key(std::string_view wrapping_key, std::string_view file_key) {
  std::string sealed;
  ChaChaPoly{wrapping_key}.seal(zero_nonce(), file_key, sealed);
  return sealed;
}

std::optional<std::string> open_file_key(std::string_view wrapping_key, const Stanza& stanza) {
  std::string file_key;
  if (!ChaChaPoly{wrapping_key}.open(zero_nonce(), stanza.body, file_key)) return std::nullopt;
  return file_key;
}

std::string x25519_wrapping_key(std::string_view shared, std::string_view share, std::string_view recipient) {
  return hkdf_sha256(shared, std::string{share}.append(recipient), x25519_info);
}

void check_body(const Stanza& stanza) {
  if (stanza.body.size() != wrapped_size) bad_stanza("a wrapped key has a wrong length");
}

std::optional<std::string> try_identity(const Stanza& stanza, const Identity& identity) {
  if (stanza.arguments.size() != 2) bad_stanza("an X25519 stanza takes one argument");
  const auto share = from_base64(stanza.arguments[1], false);
  if (!share || share->size() != 32) bad_stanza("an X25519 share is not 32 bytes of canonical base64");
  check_body(stanza);
  const auto shared = x25519_shared(identity.secret_key.reveal(), *share);
  if (!shared) bad_stanza("an X25519 share is of low order");
  return open_file_key(x25519_wrapping_key(*shared, *share, identity.recipient().public_key), stanza);
}

int work_factor_of(const std::string& text) {
  if (text.empty() || text.size() > 2 || text.front() == '0' ||
      !std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    bad_stanza("the scrypt work factor is no number");
  }
  const int factor = std::stoi(text);
  if (factor > largest_work_factor) bad_stanza(fmt::format("a scrypt work factor of {} takes too much memory", factor));
  return factor;
}

std::optional<std::string> try_passphrase(const Stanza& stanza, const Secret& passphrase) {
  if (stanza.arguments.size() != 3) bad_stanza("a scrypt stanza takes two arguments");
  const auto salt = from_base64(stanza.arguments[1], false);
  if (!salt || salt->size() != 16) bad_stanza("a scrypt salt is not 16 bytes of canonical base64");
  const int factor = work_factor_of(stanza.arguments[2]);
  check_body(stanza);
  return open_file_key(scrypt(passphrase.reveal(), std::string{scrypt_label} + *salt, factor), stanza);
}

void require_mac(const Header& header, std::string_view file_key) {
  if (!equal_in_constant_time(hmac_sha256(hkdf_sha256(file_key, "", "header"), header.covered), header.mac)) {
    throw AgeFailure{AgeFailure::Kind::hmac, "the age header was changed"};
  }
}

}  // namespace

AgeFailure::AgeFailure(Kind kind, std::string message, std::string hint)
    : Failure{kind == Kind::no_match ? Exit::config : Exit::data, std::move(message), std::move(hint)}, kind_{kind} {}

std::string Recipient::text() const { return to_bech32("age", public_key); }

Recipient parse_recipient(std::string_view text) {
  const auto decoded = from_bech32(text);
  if (!decoded || decoded->prefix != "age" || decoded->bytes.size() != 32 || !text.starts_with("age1")) {
    throw Failure{Exit::config, fmt::format("\"{}\" is no age recipient", text),
                  "a recipient begins with age1; make one with: codops backup keygen"};
  }
  return {decoded->bytes};
}

Recipient Identity::recipient() const { return {x25519_public(secret_key.reveal())}; }

Secret Identity::text() const {
  auto text = to_bech32(identity_prefix, secret_key.reveal());
  for (auto& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return Secret{std::move(text)};
}

Identity new_identity() { return {Secret{random_bytes(32)}}; }

Identity parse_identity(std::string_view text) {
  const auto decoded = from_bech32(text);
  if (!decoded || decoded->prefix != identity_prefix || decoded->bytes.size() != 32 ||
      !text.starts_with("AGE-SECRET-KEY-1")) {
    throw Failure{Exit::config, "an age identity is malformed", "an identity begins with AGE-SECRET-KEY-1"};
  }
  return {Secret{decoded->bytes}};
}

std::vector<Identity> parse_identities(std::string_view file) {
  std::vector<Identity> identities;
  for (std::size_t number = 1; !file.empty(); ++number) {
    const auto end = file.find('\n');
    auto line = file.substr(0, end);
    file = end == std::string_view::npos ? std::string_view{} : file.substr(end + 1);
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
    if (line.empty() || line.front() == '#') continue;
    try {
      identities.push_back(parse_identity(line));
    } catch (Failure& failure) {
      failure.add_context(fmt::format("line {}", number));
      throw;
    }
  }
  if (identities.empty()) throw Failure{Exit::config, "no age identity in it", "make one with: codops backup keygen"};
  return identities;
}

ProtectedIdentities::ProtectedIdentities(std::string name, std::string file) : name_{std::move(name)}, file_{std::move(file)} {}
ProtectedIdentities::~ProtectedIdentities() = default;

const std::vector<Identity>& ProtectedIdentities::open(const Secret& passphrase) {
  constexpr std::size_t most = 1U << 20U;
  const std::lock_guard lock{mutex_};
  if (!identities_.empty()) return identities_;
  try {
    TextReader source{file_};
    AgeReader reader{source, {{}, passphrase}};
    auto text = read_all(reader, most);
    identities_ = parse_identities(text);
    wipe(text);
  } catch (const AgeFailure& failure) {
    if (failure.kind() != AgeFailure::Kind::no_match) throw Failure{Exit::config, fmt::format("{}: {}", name_, failure.message()), "look at it: age -d FILE"};
    throw Failure{Exit::config, fmt::format("the passphrase does not open {}", name_), fmt::format("set CODOPS_BACKUP_PASSPHRASE to the one that it was made with: age -d {}", name_)};
  } catch (Failure& failure) {
    failure.add_context(name_);
    throw;
  }
  return identities_;
}

Stanza wrap_for(const Recipient& recipient, std::string_view file_key) {
  auto ephemeral = random_bytes(32);
  const auto share = x25519_public(ephemeral);
  const auto shared = x25519_shared(ephemeral, recipient.public_key);
  wipe(ephemeral);
  if (!shared) throw Failure{Exit::config, fmt::format("\"{}\" is no usable age recipient", recipient.text())};
  return {{"X25519", to_base64(share, false)},
          sealed_file_key(x25519_wrapping_key(*shared, share, recipient.public_key), file_key)};
}

Stanza wrap_for(const Secret& passphrase, std::string_view file_key, int work_factor) {
  const auto salt = random_bytes(16);
  const auto key = scrypt(passphrase.reveal(), std::string{scrypt_label} + salt, work_factor);
  return {{"scrypt", to_base64(salt, false), std::to_string(work_factor)}, sealed_file_key(key, file_key)};
}

std::string unwrap(const Header& header, const Keys& keys) {
  const bool has_scrypt = std::any_of(header.stanzas.begin(), header.stanzas.end(),
                                      [](const Stanza& stanza) { return stanza.arguments.front() == "scrypt"; });
  if (has_scrypt && header.stanzas.size() != 1) bad_stanza("a passphrase must be the only recipient");
  std::optional<std::string> file_key;
  for (const auto& stanza : header.stanzas) {
    if (stanza.arguments.front() == "scrypt" && !keys.passphrase.empty()) {
      file_key = try_passphrase(stanza, keys.passphrase);
    } else if (stanza.arguments.front() == "X25519") {
      for (const auto& identity : keys.identities) {
        if (auto found = try_identity(stanza, identity); found && !file_key) file_key = std::move(found);
      }
    }
    if (file_key) break;
  }
  if (!file_key && !has_scrypt && keys.locked && !keys.passphrase.empty()) return unwrap(header, {keys.locked->open(keys.passphrase), {}});
  if (!file_key) {
    throw AgeFailure{AgeFailure::Kind::no_match,
                     !has_scrypt                 ? "none of the identities opens it"
                     : keys.passphrase.empty() ? "it is encrypted with a passphrase, and none is at hand"
                                               : "the passphrase does not open it",
                     has_scrypt ? "set CODOPS_BACKUP_PASSPHRASE" : "set backup.identity_file to the right identity"};
  }
  require_mac(header, *file_key);
  return std::move(*file_key);
}

}  // namespace codops::io::age
