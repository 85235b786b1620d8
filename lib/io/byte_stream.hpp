#pragma once
// Stages that bytes stream through: a Writer is pushed into, a Reader is pulled from. Stages hold a reference to the
// next one, which must outlive them.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace codops::io {

class Writer {
 public:
  virtual ~Writer() = default;
  virtual void write(std::string_view bytes) = 0;
  // Nothing more comes: what is held back is passed on, and the next stage is finished too. Called once; without it
  // nothing that was written counts.
  virtual void finish() = 0;
};

class Reader {
 public:
  virtual ~Reader() = default;
  // At most `size` bytes at `into`; 0 is the end, and then everything that was read is known to be whole.
  virtual std::size_t read(char* into, std::size_t size) = 0;
};

class TextReader final : public Reader {  // keeps a view
 public:
  explicit TextReader(std::string_view text) : rest_{text} {}
  std::size_t read(char* into, std::size_t size) override {
    const auto taken = rest_.copy(into, size);
    rest_.remove_prefix(taken);
    return taken;
  }

 private:
  std::string_view rest_;
};

class TextWriter final : public Writer {
 public:
  void write(std::string_view bytes) override { text.append(bytes); }
  void finish() override { finished = true; }
  std::string text;
  bool finished{};
};

// Everything that is left; Failure{data} beyond `cap`.
std::string read_all(Reader& reader, std::size_t cap);
// From here to there, to the end; finishes the writer. The number of bytes.
std::uint64_t copy(Reader& from, Writer& to);

}  // namespace codops::io
