#include "lib/io/crypto.hpp"
#include "lib/io/crypto_age_header.hpp"
#include "lib/io/crypto_primitives.hpp"

namespace codops::io::age {

struct AgeWriter::State {
  Writer& next;
  ChaChaPoly cipher;
  ChunkNonce nonce;
  std::string pending, sealed;

  void seal_chunk(std::string_view plain, bool last) {
    cipher.seal(nonce.of(last), plain, sealed);
    nonce.advance();
    next.write(sealed);
  }
};

AgeWriter::AgeWriter(Writer& next, const std::vector<Recipient>& recipients) {
  if (recipients.empty()) throw Failure{Exit::bug, "encryption to nobody"};
  auto file_key = random_bytes(file_key_size);
  std::vector<Stanza> stanzas;
  for (const auto& recipient : recipients) stanzas.push_back(wrap_for(recipient, file_key));
  const auto header = sealed_header(stanzas, file_key);
  start(next, header, std::move(file_key));
}

AgeWriter::AgeWriter(Writer& next, const Secret& passphrase, int work_factor) {
  auto file_key = random_bytes(file_key_size);
  const auto stanza = wrap_for(passphrase, file_key, work_factor);
  const auto header = sealed_header({stanza}, file_key);
  start(next, header, std::move(file_key));
}

AgeWriter::~AgeWriter() = default;

void AgeWriter::start(Writer& next, const std::string& header, std::string file_key) {
  next.write(header);
  const auto nonce = random_bytes(16);
  next.write(nonce);
  state_.reset(new State{next, ChaChaPoly{payload_key(file_key, nonce)}, {}, {}, {}});
  wipe(file_key);
}

void AgeWriter::write(std::string_view bytes) {
  auto& state = *state_;
  // A full chunk is sealed only once more follows: the last one, full or not, is marked as such.
  while (!bytes.empty()) {
    if (state.pending.size() == chunk_size) {
      state.seal_chunk(state.pending, false);
      state.pending.clear();
    }
    if (state.pending.empty()) {
      for (; bytes.size() > chunk_size; bytes.remove_prefix(chunk_size)) {
        state.seal_chunk(bytes.substr(0, chunk_size), false);
      }
    }
    const auto taken = bytes.substr(0, chunk_size - state.pending.size());
    state.pending.append(taken);
    bytes.remove_prefix(taken.size());
  }
}

void AgeWriter::finish() {
  state_->seal_chunk(state_->pending, true);
  state_->next.finish();
}

}  // namespace codops::io::age
