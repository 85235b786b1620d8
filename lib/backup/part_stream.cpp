#include "lib/backup/part_stream.hpp"

#include "lib/base/failure.hpp"
#include "lib/io/compression.hpp"

namespace codops::backup {
namespace {

class HashingWriter final : public io::Writer {
 public:
  explicit HashingWriter(store::Upload& next) : next_{next} {}
  void write(std::string_view bytes) override {
    hash.update(bytes);
    next_.write(bytes);
  }
  void finish() override { next_.finish(); }
  io::Sha256 hash;

 private:
  store::Upload& next_;
};

class HashingReader final : public io::Reader {
 public:
  HashingReader(std::unique_ptr<io::Reader> source, const Part& part, Pieces* pieces) : source_{std::move(source)}, part_{part}, pieces_{pieces} {}

  std::size_t read(char* into, std::size_t size) override {
    if (ended_) return 0;
    const auto got = source_->read(into, size);
    hash_.update({into, got});
    total_ += got;
    if (pieces_ != nullptr) pieces_->feed({into, got});
    if (got == 0) {
      if (pieces_ != nullptr) pieces_->finish();
      ended_ = true;
      if (total_ != part_.size) {
        throw Failure{Exit::data, fmt::format("\"{}\" has {} bytes instead of {}", part_.name, total_, part_.size)};
      }
      if (hash_.hex() != part_.sha256) throw Failure{Exit::data, fmt::format("\"{}\" was changed: its SHA-256 differs", part_.name)};
    }
    return got;
  }

 private:
  std::unique_ptr<io::Reader> source_;
  const Part& part_;
  Pieces* pieces_;
  io::Sha256 hash_;
  std::uint64_t total_{};
  bool ended_{};
};

}  // namespace

struct PartWriter::State {
  Part part;
  std::unique_ptr<store::Upload> upload;
  std::unique_ptr<HashingWriter> stored;
  std::unique_ptr<io::age::AgeWriter> age;
  std::unique_ptr<io::ZstdWriter> zstd;
  std::optional<io::Sha256> plain;
};

PartWriter::PartWriter(store::Store& store, const std::string& folder, Part part, const PartOptions& options,
                       const Keyring& keys, const Limits& limits)
    : state_{std::make_unique<State>()} {
  auto& state = *state_;
  part.name += keys.encrypts() ? ".zst.age" : ".zst";
  state.part = std::move(part);
  state.upload = store.create(folder + "/" + state.part.name, limits, store::Retain::yes);
  state.stored = std::make_unique<HashingWriter>(*state.upload);
  io::Writer* next = state.stored.get();
  if (!keys.recipients.empty()) {
    state.age = std::make_unique<io::age::AgeWriter>(*next, keys.recipients);
  } else if (!keys.identities.passphrase.empty()) {
    state.age = std::make_unique<io::age::AgeWriter>(*next, keys.identities.passphrase);
  }
  if (state.age) next = state.age.get();
  state.zstd = std::make_unique<io::ZstdWriter>(*next, io::ZstdOptions{options.level, options.threads});
  if (options.hash_plain) state.plain.emplace();
}

PartWriter::~PartWriter() = default;

void PartWriter::write(std::string_view bytes) {
  if (state_->plain) state_->plain->update(bytes);
  state_->part.plain_size += bytes.size();
  state_->zstd->write(bytes);
}

void PartWriter::finish() { state_->zstd->finish(); }

Part& PartWriter::part() { return state_->part; }

Part PartWriter::commit() {
  auto& state = *state_;
  state.part.size = state.upload->size();
  state.part.sha256 = state.stored->hash.hex();
  if (state.plain) state.part.plain_sha256 = state.plain->hex();
  state.upload->commit();
  return std::move(state.part);
}

struct PartReader::State {
  Part part;
  std::unique_ptr<io::Reader> source, stored;
  std::unique_ptr<io::age::AgeReader> age;
  std::unique_ptr<io::ZstdReader> zstd;
  std::optional<io::Sha256> plain;
  io::Reader* top{};
  bool ended{};
};

PartReader::PartReader(store::Store& store, const std::string& folder, const Part& part, const Keyring& keys,
                       const Limits& limits, const Pieces* checked)
    : state_{std::make_unique<State>()} {
  auto& state = *state_;
  state.part = part;
  auto source = store.open(folder + "/" + part.name, limits);
  if (checked != nullptr) {
    state.source = std::move(source);
    state.stored = std::make_unique<SameReader>(*state.source, *checked, [name = part.name] {
      return Failure{Exit::data, fmt::format("\"{}\" is no longer what was checked: it was changed in the store meanwhile, and nothing of what is there now was used", name)};
    });
  } else {
    state.stored = std::make_unique<HashingReader>(std::move(source), state.part, nullptr);
  }
  state.top = state.stored.get();
  std::string_view name{state.part.name};
  if (name.ends_with(".age")) {
    if (!keys.can_read(true) && !keys.can_read(false)) {
      if (const auto& locked = keys.identities.locked) {
        throw Failure{Exit::config, fmt::format("\"{}\" is encrypted, and {} is protected by a passphrase", part.name, locked->name()), "set CODOPS_BACKUP_PASSPHRASE to it"};
      }
      throw Failure{Exit::config, fmt::format("\"{}\" is encrypted, and no identity is at hand", part.name),
                    "set backup.identity_file, CODOPS_BACKUP_IDENTITY, or CODOPS_BACKUP_PASSPHRASE"};
    }
    state.age = std::make_unique<io::age::AgeReader>(*state.top, keys.identities);
    state.top = state.age.get();
    name.remove_suffix(4);
  }
  if (name.ends_with(".zst")) {
    state.zstd = std::make_unique<io::ZstdReader>(*state.top);
    state.top = state.zstd.get();
  }
  if (!part.plain_sha256.empty()) state.plain.emplace();
}

PartReader::~PartReader() = default;

std::size_t PartReader::read(char* into, std::size_t size) {
  auto& state = *state_;
  if (state.ended) return 0;
  const auto got = state.top->read(into, size);
  if (state.plain && got > 0) state.plain->update({into, got});
  if (got > 0) return got;
  state.ended = true;
  // What a stage above did not need (zstd stops at its frame's end) is read too, so that the hash covers everything.
  std::array<char, 4096> rest{};
  while (state.stored->read(rest.data(), rest.size()) > 0) {
  }
  if (state.plain && state.plain->hex() != state.part.plain_sha256) {
    throw Failure{Exit::data, fmt::format("\"{}\" has other content than the manifest says", state.part.name)};
  }
  return 0;
}

void check_stored(store::Store& store, const std::string& folder, const Part& part, const Limits& limits, Pieces* pieces) {
  const auto object = store.find(folder + "/" + part.name, limits);
  if (!object) throw Failure{Exit::data, fmt::format("\"{}\" is missing", part.name)};
  if (object->size != part.size) {
    throw Failure{Exit::data, fmt::format("\"{}\" has {} bytes instead of {}", part.name, object->size, part.size)};
  }
  HashingReader reader{store.open(folder + "/" + part.name, limits), part, pieces};
  std::vector<char> buffer(256U << 10U);
  while (reader.read(buffer.data(), buffer.size()) > 0) {
  }
}

}  // namespace codops::backup
