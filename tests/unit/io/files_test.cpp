#include "lib/io/files.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

using namespace codops;
namespace fs = std::filesystem;

namespace {
std::size_t entries(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator{folder}, fs::directory_iterator{}));
}
}  // namespace

TEST_CASE("what killed writers left is removed, and nothing else") {
  const io::TemporaryFolder folder;
  const auto put = [&](const char* name) { std::ofstream{folder.path() / name} << "x"; };
  for (const auto* name : {".a.0123456789ab.tmp", "..env.0123456789ab.tmp", ".a.0123456789aX.tmp", "a.0123456789ab.tmp", ".0123456789ab.tmp", ".a.tmp", ".env"}) put(name);
  const auto is_there = [&](const char* name) { return std::filesystem::exists(folder.path() / name); };
  io::remove_unfinished(folder.path(), ".env");
  CHECK_FALSE(is_there("..env.0123456789ab.tmp"));
  CHECK(is_there(".a.0123456789ab.tmp"));
  io::remove_unfinished(folder.path());
  CHECK_FALSE(is_there(".a.0123456789ab.tmp"));
  for (const auto* name : {".a.0123456789aX.tmp", "a.0123456789ab.tmp", ".0123456789ab.tmp", ".a.tmp", ".env"}) CHECK(is_there(name));
}

TEST_CASE("a file appears whole, with its mode, or not at all") {
  const io::TemporaryFolder folder;
  const auto path = folder.path() / "a.json";
  {
    io::AtomicFile file{path};
    file.write("half");
    CHECK_FALSE(fs::exists(path));
  }
  CHECK(entries(folder.path()) == 0);
  io::write_file(path, "one", 0644);
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777U) == 0644);
  io::write_file(path, "two");
  CHECK(io::read_file(path) == "two");
  io::AtomicFile again{path};
  again.write("three");
  CHECK_FALSE(again.commit_new());
  CHECK_THROWS_AS(again.commit(io::AtomicFile::Existing::refuse), Failure);
  CHECK(io::read_file(path) == "two");
}

TEST_CASE("reads are bounded, and absence is no error where it is asked for") {
  const io::TemporaryFolder folder;
  const auto path = folder.path() / "f";
  CHECK_FALSE(io::read_file_if_there(path));
  CHECK_THROWS_AS(io::read_file(path), Failure);
  io::write_file(path, std::string(100, 'x'));
  CHECK(io::read_file(path, 100).size() == 100);
  CHECK_THROWS_AS(io::read_file(path, 99), Failure);
  CHECK_THROWS_AS(io::read_file(folder.path()), Failure);
}

TEST_CASE("a lock is held once, and given back") {
  const io::TemporaryFolder folder;
  const auto path = folder.path() / "lock";
  {
    const auto held = io::FileLock::try_take(path);
    REQUIRE(held);
    CHECK_FALSE(io::FileLock::try_take(path));
    CHECK_THROWS_AS(io::FileLock::take(path, Limits{}.within(Milliseconds{30})), Failure);
  }
  CHECK(io::FileLock::try_take(path));
}

TEST_CASE("a temporary folder is private and leaves nothing") {
  fs::path path;
  {
    const io::TemporaryFolder folder;
    path = folder.path();
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777U) == 0700);
    io::make_folders(path / "a" / "b");
    io::write_file(path / "a" / "b" / "c", "x");
  }
  CHECK_FALSE(fs::exists(path));
}
