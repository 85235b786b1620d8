#pragma once
// zstd both ways, gzip and zlib for reading. Memory is bounded whatever the size of the stream.
#include <memory>

#include "lib/io/byte_stream.hpp"

namespace codops::io {

struct ZstdOptions {
  int level{1};
  int threads{0};  // workers beside the caller; 0 compresses in the caller
};

// One frame with a content checksum.
class ZstdWriter final : public Writer {
 public:
  ZstdWriter(Writer& next, const ZstdOptions& options);
  ~ZstdWriter() override;
  void write(std::string_view bytes) override;
  void finish() override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Any number of frames. Failure{data} for damage, and for an end inside a frame. Windows up to 128 MiB.
class ZstdReader final : public Reader {
 public:
  explicit ZstdReader(Reader& source);
  ~ZstdReader() override;
  std::size_t read(char* into, std::size_t size) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// gzip (any number of members) or zlib. Failure{data} for damage and truncation.
class GzipReader final : public Reader {
 public:
  explicit GzipReader(Reader& source);
  ~GzipReader() override;
  std::size_t read(char* into, std::size_t size) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Looks ahead without taking away.
class PeekReader final : public Reader {
 public:
  explicit PeekReader(Reader& source) : source_{source} {}
  std::string_view peek(std::size_t size);  // fewer only at the end
  std::size_t read(char* into, std::size_t size) override;

 private:
  Reader& source_;
  std::string ahead_;
  std::size_t at_{};
};

enum class Packing { none, zstd, gzip };
Packing packing_of(std::string_view first_bytes);

}  // namespace codops::io
