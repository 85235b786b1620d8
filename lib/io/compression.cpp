#include "lib/io/compression.hpp"

#include <zlib.h>
#include <zstd.h>

#include "lib/base/failure.hpp"

namespace codops::io {
namespace {

constexpr std::size_t buffer_size = 256U << 10U;
constexpr int largest_window = 27;

std::size_t checked(std::size_t code, Exit exit, std::string_view what) {
  if (::ZSTD_isError(code) != 0U) throw Failure{exit, fmt::format("{}: {}", what, ::ZSTD_getErrorName(code))};
  return code;
}

struct FreeZstd {
  void operator()(ZSTD_CCtx* context) const { ::ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ::ZSTD_freeDCtx(context); }
};

}  // namespace

struct ZstdWriter::State {
  Writer& next;
  std::unique_ptr<ZSTD_CCtx, FreeZstd> context{::ZSTD_createCCtx()};
  std::vector<char> out = std::vector<char>(buffer_size);

  // True once zstd has taken all of the input and, for ZSTD_e_end, has given all of its output.
  bool push(ZSTD_inBuffer& in, ZSTD_EndDirective how) {
    ZSTD_outBuffer room{out.data(), out.size(), 0};
    const auto left = checked(::ZSTD_compressStream2(context.get(), &room, &in, how), Exit::failed, "zstd");
    if (room.pos > 0) next.write({out.data(), room.pos});
    return how == ZSTD_e_end ? left == 0 : in.pos == in.size;
  }
};

ZstdWriter::ZstdWriter(Writer& next, const ZstdOptions& options) : state_{new State{next}} {
  auto* context = state_->context.get();
  checked(::ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, options.level), Exit::config, "zstd level");
  checked(::ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1), Exit::bug, "zstd");
  if (options.threads > 0) {
    // A libzstd built without threads refuses; then it compresses here.
    ::ZSTD_CCtx_setParameter(context, ZSTD_c_nbWorkers, options.threads);
  }
}

ZstdWriter::~ZstdWriter() = default;

void ZstdWriter::write(std::string_view bytes) {
  ZSTD_inBuffer in{bytes.data(), bytes.size(), 0};
  while (!state_->push(in, ZSTD_e_continue)) {
  }
}

void ZstdWriter::finish() {
  ZSTD_inBuffer in{nullptr, 0, 0};
  while (!state_->push(in, ZSTD_e_end)) {
  }
  state_->next.finish();
}

struct ZstdReader::State {
  Reader& source;
  std::unique_ptr<ZSTD_DCtx, FreeZstd> context{::ZSTD_createDCtx()};
  std::vector<char> buffer = std::vector<char>(buffer_size);
  ZSTD_inBuffer in{nullptr, 0, 0};
  bool inside_frame{true};  // an empty stream is no zstd stream either
  bool held_back{false};    // the output buffer was full: there may be more without new input
};

ZstdReader::ZstdReader(Reader& source) : state_{new State{source}} {
  checked(::ZSTD_DCtx_setParameter(state_->context.get(), ZSTD_d_windowLogMax, largest_window), Exit::bug, "zstd");
}

ZstdReader::~ZstdReader() = default;

std::size_t ZstdReader::read(char* into, std::size_t size) {
  auto& state = *state_;
  ZSTD_outBuffer out{into, size, 0};
  while (out.pos == 0) {
    if (state.in.pos == state.in.size && !state.held_back) {
      state.in = {state.buffer.data(), state.source.read(state.buffer.data(), state.buffer.size()), 0};
      if (state.in.size == 0) {
        if (state.inside_frame) throw Failure{Exit::data, "zstd: the stream ends too early"};
        return 0;
      }
    }
    const auto left = checked(::ZSTD_decompressStream(state.context.get(), &out, &state.in), Exit::data, "zstd");
    state.inside_frame = left != 0;
    state.held_back = left != 0 && out.pos == out.size;
  }
  return out.pos;
}

struct GzipReader::State {
  explicit State(Reader& from) : source{from} {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { ::inflateEnd(&stream); }

  Reader& source;
  z_stream stream{};
  std::vector<char> buffer = std::vector<char>(buffer_size);
  bool inside{true};
};

GzipReader::GzipReader(Reader& source) : state_{new State{source}} {
  constexpr int either_format = 15 + 32;
  if (::inflateInit2(&state_->stream, either_format) != Z_OK) throw Failure{Exit::failed, "zlib does not start"};
}

GzipReader::~GzipReader() = default;

std::size_t GzipReader::read(char* into, std::size_t size) {
  auto& state = *state_;
  auto& stream = state.stream;
  stream.next_out = reinterpret_cast<Bytef*>(into);
  stream.avail_out = static_cast<uInt>(std::min<std::size_t>(size, 1U << 30U));
  const auto room = stream.avail_out;
  while (stream.avail_out == room) {
    if (stream.avail_in == 0) {
      stream.next_in = reinterpret_cast<Bytef*>(state.buffer.data());
      stream.avail_in = static_cast<uInt>(state.source.read(state.buffer.data(), state.buffer.size()));
      if (stream.avail_in == 0) {
        if (state.inside) throw Failure{Exit::data, "gzip: the stream ends too early"};
        return 0;
      }
    }
    if (!state.inside) {
      ::inflateReset(&stream);  // another member follows
      state.inside = true;
    }
    const int result = ::inflate(&stream, Z_NO_FLUSH);
    if (result == Z_STREAM_END) {
      state.inside = false;
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
      throw Failure{Exit::data, fmt::format("gzip: {}", stream.msg != nullptr ? stream.msg : "damaged")};
    }
  }
  return room - stream.avail_out;
}

std::string_view PeekReader::peek(std::size_t size) {
  while (ahead_.size() - at_ < size) {
    std::array<char, 4096> buffer{};
    const auto got = source_.read(buffer.data(), std::min(buffer.size(), size - (ahead_.size() - at_)));
    if (got == 0) break;
    ahead_.append(buffer.data(), got);
  }
  return std::string_view{ahead_}.substr(at_, size);
}

std::size_t PeekReader::read(char* into, std::size_t size) {
  if (at_ == ahead_.size()) return source_.read(into, size);
  const auto taken = ahead_.copy(into, size, at_);
  at_ += taken;
  return taken;
}

Packing packing_of(std::string_view first_bytes) {
  if (first_bytes.starts_with("\x28\xb5\x2f\xfd")) return Packing::zstd;
  if (first_bytes.starts_with("\x1f\x8b")) return Packing::gzip;
  return Packing::none;
}

}  // namespace codops::io
