#include "lib/store/directory.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/failure.hpp"
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

TEST_CASE("a folder that may not be entered is no empty one") {
  const io::TemporaryFolder folder;
  const auto root = folder.path() / "root";
  store::DirectoryStore store{root};
  store.put("shop/label/manifest.json", "{}", Limits{});
  // Root may enter everything: as somebody else, whose the outer folder is.
  const bool as_root = ::geteuid() == 0;
  constexpr uid_t nobody = 65534;
  if (as_root) {
    for (const auto& path : {folder.path(), root, root / "shop", root / "shop" / "label"}) REQUIRE(::chown(path.c_str(), nobody, nobody) == 0);
    REQUIRE(::seteuid(nobody) == 0);
  }
  const auto refused = [&](const std::function<void()>& work) {
    try {
      work();
      return false;
    } catch (const Failure& failure) {
      return failure.code() == Exit::failed && failure.message().find("Permission denied") != std::string::npos;
    }
  };
  CHECK(store.list("shop", Limits{}).size() == 1);
  for (const auto& closed : {root, root / "shop", root / "shop" / "label"}) {
    CAPTURE(closed);
    REQUIRE(::chmod(closed.c_str(), 0) == 0);
    CHECK(refused([&] { store.list("shop", Limits{}); }));
    CHECK(refused([&] { store.find("shop/label/manifest.json", Limits{}); }));
    REQUIRE(::chmod(closed.c_str(), 0700) == 0);
  }
  CHECK(store.list("elsewhere", Limits{}).empty());
  if (as_root) REQUIRE(::seteuid(0) == 0);
}
