#include "lib/io/tar.hpp"

#include <doctest/doctest.h>

#include "lib/base/failure.hpp"

using namespace codops;
using io::TarEntry;

TEST_CASE("tar: what is written is read") {
  const std::string long_path(200, 'p');
  const auto tar = io::write_tar({{.path = "dir", .mode = 0700, .kind = TarEntry::Kind::directory, .mtime = 1'700'000'000},
                                  {.path = "dir/ünïcode", .content = "text", .mode = 0640, .uid = 7, .gid = 8},
                                  {.path = "dir/" + long_path, .content = std::string(100'000, 'z')},
                                  {.path = "link", .kind = TarEntry::Kind::symlink, .link_target = "dir"}});
  CHECK(tar.size() % 512 == 0);
  const auto entries = io::read_tar(io::bytes_of(tar), 1'000'000);
  REQUIRE(entries.size() == 4);
  CHECK(entries[0].kind == TarEntry::Kind::directory);
  CHECK(entries[0].mtime == 1'700'000'000);
  CHECK(entries[1].path == "dir/ünïcode");
  CHECK(entries[1].content == "text");
  CHECK(entries[1].mode == 0640);
  CHECK(entries[1].uid == 7);
  CHECK(entries[2].path == "dir/" + long_path);
  CHECK(entries[2].content.size() == 100'000);
  CHECK(entries[3].link_target == "dir");
  CHECK(io::write_tar({{.path = "a", .content = "b"}}) == io::write_tar({{.path = "a", .content = "b"}}));
}

TEST_CASE("tar: damage and excess are failures") {
  const auto tar = io::write_tar({{.path = "file", .content = std::string(10'000, 'x')}});
  CHECK_THROWS_AS(io::read_tar(io::bytes_of(tar), 9'999), Failure);
  CHECK_THROWS_AS(io::read_tar(io::bytes_of(std::string_view{tar}.substr(0, 2'000)), 1'000'000), Failure);
  const std::string noise(4'096, 'n');
  CHECK_THROWS_AS(io::read_tar(io::bytes_of(noise), 1'000'000), Failure);
  CHECK(io::read_tar(io::bytes_of(""), 1).empty());
  CHECK(io::read_tar(io::bytes_of(io::write_tar({})), 1).empty());
  const io::ByteSource failing = [](char*, std::size_t) -> std::size_t { throw Failure{Exit::unavailable, "gone"}; };
  CHECK_THROWS_WITH_AS(io::read_tar(failing, 1), "gone", Failure);
}

TEST_CASE("tar: a stream is made while it is read") {
  int made = 0;
  const auto stream = io::tar_stream([&made](TarEntry& entry, io::ByteSource& content) {
    if (made == 3) return false;
    entry.path = "file" + std::to_string(made++);
    entry.size = 100'000;
    content = [left = std::size_t{100'000}](char* into, std::size_t size) mutable {
      const auto count = std::min(left, size);
      std::fill_n(into, count, 's');
      left -= count;
      return count;
    };
    return true;
  });
  const auto entries = io::read_tar(stream, 1'000'000);
  REQUIRE(entries.size() == 3);
  CHECK(entries[2].content == std::string(100'000, 's'));

  const auto shrinking = io::tar_stream([](TarEntry& entry, io::ByteSource& content) {
    entry.path = "file";
    entry.size = 10;
    content = io::bytes_of("short");
    return true;
  });
  CHECK_THROWS_AS(io::read_tar(shrinking, 1'000), Failure);
}
