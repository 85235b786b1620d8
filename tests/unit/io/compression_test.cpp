#include "lib/io/compression.hpp"

#include <doctest/doctest.h>

#include "lib/base/failure.hpp"
#include "lib/io/crypto.hpp"
#include "lib/io/process.hpp"

using namespace codops;
using namespace codops::io;

namespace {

std::string mixed_text(std::size_t size) {
  std::string text;
  while (text.size() < size) text += "row " + std::to_string(text.size() * 7919) + "\tx\n";
  return text + random_bytes(size / 10);
}

std::string packed(std::string_view text, const ZstdOptions& options) {
  TextWriter out;
  ZstdWriter zstd{out, options};
  for (std::size_t at = 0; at < text.size(); at += 100'003) zstd.write(text.substr(at, 100'003));
  zstd.finish();
  CHECK(out.finished);
  return out.text;
}

std::string unpacked(std::string_view text) {
  TextReader in{text};
  ZstdReader zstd{in};
  return read_all(zstd, 1U << 30U);
}

}  // namespace

TEST_CASE("zstd comes back, with and without threads, and the zstd command reads it") {
  const auto text = mixed_text(5'000'000);
  for (const int threads : {0, 2}) {
    const auto bytes = packed(text, {3, threads});
    CHECK(bytes.size() < text.size());
    CHECK(packing_of(bytes) == Packing::zstd);
    CHECK(unpacked(bytes) == text);
    CHECK(unpacked(bytes + bytes) == text + text);
  }
  CHECK(unpacked(packed("", {})).empty());
}

TEST_CASE("every truncation and a flipped bit of zstd are noticed") {
  const auto whole = mixed_text(3000);
  const auto bytes = packed(whole, {});
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CAPTURE(size);
    CHECK_THROWS_AS(unpacked(std::string_view{bytes}.substr(0, size)), Failure);
  }
  for (std::size_t at = 0; at < bytes.size(); at += 7) {
    auto damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    CAPTURE(at);
    // The frame header has bits that change nothing about the content; the content itself must never come back other.
    std::optional<std::string> came_back;
    try {
      came_back = unpacked(damaged);
    } catch (const Failure& failure) {
      CHECK(failure.code() == Exit::data);
    }
    CHECK(came_back.value_or(whole) == whole);
  }
}

TEST_CASE("gzip of the gzip command is read, members too, truncation noticed") {
  const auto text = mixed_text(200'000);
  std::string bytes;
  TextReader in{text};
  run({{"gzip", "-c"}, {}, {}},
      {[&](char* into, std::size_t size) { return in.read(into, size); },
       [&](std::string_view out) { bytes += out; },
       {}},
      Limits{});
  CHECK(packing_of(bytes) == Packing::gzip);
  const auto gunzip = [](std::string_view packed_text) {
    TextReader source{packed_text};
    GzipReader gzip{source};
    return read_all(gzip, 1U << 30U);
  };
  CHECK(gunzip(bytes) == text);
  CHECK(gunzip(bytes + bytes) == text + text);
  CHECK_THROWS_AS(gunzip(std::string_view{bytes}.substr(0, bytes.size() - 9)), Failure);
  CHECK_THROWS_AS(gunzip(std::string_view{bytes}.substr(0, 100)), Failure);
  CHECK_THROWS_AS(gunzip(""), Failure);
}

TEST_CASE("looking ahead takes nothing away") {
  TextReader in{"hello world"};
  PeekReader peek{in};
  CHECK(peek.peek(5) == "hello");
  CHECK(peek.peek(2) == "he");
  CHECK(read_all(peek, 100) == "hello world");
  CHECK(peek.peek(1).empty());
}
