#include "lib/io/compression.hpp"
#include "lib/io/crypto.hpp"
#include "lib/io/crypto_age_armor.hpp"
#include "lib/io/crypto_age_header.hpp"
#include "lib/io/crypto_primitives.hpp"

namespace codops::io::age {
namespace {

[[noreturn]] void damaged(std::string_view why) {
  throw AgeFailure{AgeFailure::Kind::payload, fmt::format("the encrypted data are damaged: {}", why)};
}

}  // namespace

struct AgeReader::State {
  explicit State(Reader& from) : peek{from} {
    // White space may precede the armour, never the version line of a binary file.
    const auto opening = peek.peek(1);
    if (!opening.empty() && opening.front() != 'a') {
      armor = std::make_unique<ArmorReader>(peek);
      source = armor.get();
    }
  }

  PeekReader peek;
  std::unique_ptr<ArmorReader> armor;
  Reader* source{&peek};
  std::optional<ChaChaPoly> cipher;
  ChunkNonce nonce;
  std::string sealed = std::string(chunk_size + ChaChaPoly::tag_size, '\0');
  std::string plain;
  std::size_t plain_at{};
  bool first{true}, ended{false};

  std::string_view next_sealed() {
    std::size_t have = 0;
    while (have < sealed.size()) {
      const auto got = source->read(sealed.data() + have, sealed.size() - have);
      if (got == 0) break;
      have += got;
    }
    return {sealed.data(), have};
  }

  void open_chunk() {
    const auto chunk = next_sealed();
    if (chunk.size() < ChaChaPoly::tag_size) damaged("it ends too early");
    // A full chunk may be the last one too: then only the other nonce opens it.
    const bool full = chunk.size() == sealed.size();
    if (!full || !cipher->open(nonce.of(false), chunk, plain)) {
      if (!cipher->open(nonce.of(true), chunk, plain)) damaged("a chunk does not authenticate");
      if (plain.empty() && !first) damaged("an empty last chunk");
      ended = true;
    }
    nonce.advance();
    plain_at = 0;
    first = false;
  }

  void require_end() {
    char byte = 0;
    if (source->read(&byte, 1) != 0) damaged("something follows the last chunk");
  }
};

AgeReader::AgeReader(Reader& source, const Keys& keys) : state_{new State{source}} {
  const auto header = read_header(*state_->source);
  auto file_key = unwrap(header, keys);
  std::string nonce(16, '\0');
  std::size_t have = 0;
  while (have < nonce.size()) {
    const auto got = state_->source->read(nonce.data() + have, nonce.size() - have);
    if (got == 0) throw AgeFailure{AgeFailure::Kind::header, "the age header is malformed: no nonce follows it"};
    have += got;
  }
  state_->cipher.emplace(payload_key(file_key, nonce));
  wipe(file_key);
}

AgeReader::~AgeReader() = default;

std::size_t AgeReader::read(char* into, std::size_t size) {
  auto& state = *state_;
  while (state.plain_at == state.plain.size()) {
    if (state.ended) {
      state.require_end();
      return 0;
    }
    state.open_chunk();
  }
  const auto taken = state.plain.copy(into, size, state.plain_at);
  state.plain_at += taken;
  return taken;
}

bool looks_encrypted(std::string_view first_bytes) {
  return first_bytes.starts_with("age-encryption.org/") || first_bytes.starts_with(armor_begin);
}

}  // namespace codops::io::age
