// A file that is written over: what a run that dies in the middle may leave, and how it is put back.
#include <doctest/doctest.h>

#include <filesystem>

#include "lib/base/failure.hpp"
#include "lib/io/files.hpp"
#include "lib/scaffold/dev/in_place.hpp"

using namespace codops;
using namespace codops::scaffold::dev;

namespace {

struct Checkout {
  io::TemporaryFolder folder;
  std::filesystem::path records{folder.path() / ".codops/dev/unfinished"}, copies{folder.path() / ".codops/dev/replaced"};
  InPlace change(std::string before, std::string after) const { return {folder.path(), ".env", std::move(before), std::move(after)}; }
  std::filesystem::path env() const { return folder.path() / ".env"; }
  std::string text() const { return io::read_file(env()); }
};

}  // namespace

TEST_CASE("what a write that was cut off can leave") {
  CHECK(is_half_of("abXYef", "abcdef", "abXYZW"));
  CHECK(is_half_of("abcdef\n12", "abcdef\n", "abcdef\n123456"));        // grew by a part
  CHECK(is_half_of(std::string{"abc\0\0f", 6}, "abc", "abcdef"));       // a page before the one in front of it
  CHECK(is_half_of("XYcdef", "abcdef", "XYZ"));                         // written, not cut yet
  CHECK_FALSE(is_half_of("abcdef", "abcdef", "abXYZW"));                // nothing was
  CHECK_FALSE(is_half_of("abXYZW", "abcdef", "abXYZW"));                // all was
  CHECK_FALSE(is_half_of("abcdeg", "abcdef", "abXYZW"));                // somebody's own change
  CHECK_FALSE(is_half_of("", "abcdef", "abXYZW"));
  CHECK_FALSE(is_half_of("abcdef and more", "abcdef", "abXYZW"));
}

TEST_CASE("a file that is written over stays the same file") {
  Checkout checkout;
  io::write_file(checkout.env(), "PORT=5432\nMINE=1\n");
  std::filesystem::create_hard_link(checkout.env(), checkout.folder.path() / "other");
  write_in_place(checkout.change("PORT=5432\nMINE=1\n", "PORT=5433\nMINE=1\nMORE=2\n"), checkout.records);
  CHECK(io::read_file(checkout.folder.path() / "other") == "PORT=5433\nMINE=1\nMORE=2\n");
  CHECK(std::filesystem::hard_link_count(checkout.env()) == 2);
  CHECK(half_written(checkout.folder.path(), checkout.records).empty());
  CHECK(put_back(checkout.folder.path(), checkout.records, checkout.copies).empty());
  CHECK_THROWS_WITH_AS(write_in_place(checkout.change("PORT=1\n", "PORT=2\n"), checkout.records), doctest::Contains("was changed meanwhile"), Failure);
  CHECK(checkout.text() == "PORT=5433\nMINE=1\nMORE=2\n");
}
