#include "lib/store/directory.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "lib/io/files.hpp"
#include "tests/support/store_conformance.hpp"

using namespace codops;

TEST_CASE("a directory is a store") {
  const io::TemporaryFolder folder;
  store::DirectoryStore store{folder.path() / "not" / "there"};
  tests::check_store(store);
  CHECK(std::filesystem::exists(folder.path() / "not" / "there" / "a" / "b"));
}

TEST_CASE("what a directory holds is private, and links in it are not followed") {
  const io::TemporaryFolder folder;
  store::DirectoryStore store{folder.path() / "root"};
  store.put("label/part", "x", Limits{});
  struct stat status {};
  REQUIRE(::stat((folder.path() / "root" / "label" / "part").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777U) == 0600);
  REQUIRE(::stat((folder.path() / "root" / "label").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777U) == 0700);
  io::write_file(folder.path() / "outside", "secret");
  std::filesystem::create_symlink(folder.path() / "outside", folder.path() / "root" / "label" / "link");
  CHECK_FALSE(store.find("label/link", Limits{}));
  CHECK_THROWS_AS(store.open("label/link", Limits{}), Failure);
  CHECK(tests::names_in(store, "label") == std::vector<std::string>{"label/part"});
}

TEST_CASE("the leftovers of a killed upload are swept, an emptied folder goes") {
  const io::TemporaryFolder folder;
  store::DirectoryStore store{folder.path()};
  io::make_folders(folder.path() / "label");
  io::write_file(folder.path() / "label" / ".part.0123.tmp", "half");
  CHECK(tests::names_in(store, "").empty());
  io::make_folders(folder.path() / "shop" / "other");
  io::write_file(folder.path() / "shop" / "other" / ".part.0123.tmp", "half");
  io::make_folders(folder.path() / "shop" / "whole");
  io::write_file(folder.path() / "shop" / "whole" / "manifest.json", "{}");
  io::write_file(folder.path() / "shop" / "whole" / ".marks.json.0123.tmp", "of somebody at work");
  store.sweep("label", Limits{});
  CHECK_FALSE(std::filesystem::exists(folder.path() / "label"));
  store.sweep("shop", Limits{});
  CHECK_FALSE(std::filesystem::exists(folder.path() / "shop" / "other"));
  CHECK(std::filesystem::exists(folder.path() / "shop" / "whole" / ".marks.json.0123.tmp"));
}
