#include "lib/ops/travelling_files.hpp"

#include <doctest/doctest.h>

#include "lib/base/failure.hpp"
#include "lib/io/files.hpp"
#include "lib/ops/mounted_files.hpp"

using namespace codops;
using namespace codops::ops;

namespace {

namespace fs = std::filesystem;

// A checkout with a folder "conf" that is mounted at /conf, and something beside the checkout that is nobody's to have.
struct Checkout {
  io::TemporaryFolder outside;
  fs::path directory{outside.path() / "project"};
  compose::Project project;
  compose::Service service;
  std::map<std::string, std::string> blobs;

  Checkout() {
    fs::create_directories(directory / "conf/deep");
    io::write_file(outside.path() / "shadow", "host's secret");
    io::write_file(directory / "conf/a.conf", "a");
    io::write_file(directory / "conf/deep/b.conf", "b");
    fs::create_symlink("a.conf", directory / "conf/inside");
    fs::create_directory_symlink("deep", directory / "conf/folder");
    fs::create_symlink(outside.path() / "shadow", directory / "conf/absolute");
    fs::create_symlink("../../shadow", directory / "conf/deep/relative");
    fs::create_symlink("nowhere", directory / "conf/dangling");
    service.name = "web";
    mount("conf", "/conf");
  }

  void mount(const std::string& source, const std::string& target) {
    compose::Mount mount;
    mount.type = "bind";
    mount.source = (directory / source).string();
    mount.target = target;
    mount.read_only = true;
    service.volumes.push_back(std::move(mount));
  }

  Travelling travel(bool reloads = false) { return travelling_files(project, service, directory, false, reloads, blobs); }

  // "target = content", or "target -> where".
  std::vector<std::string> told(const Travelling& found) {
    std::vector<std::string> lines;
    for (const auto& file : found.files) lines.push_back(file.target + (file.link ? " -> " : file.mounted ? " mounted " : " = ") + blobs.at(file.sha256));
    return lines;
  }
  bool took_from_outside() const {
    return std::any_of(blobs.begin(), blobs.end(), [](const auto& blob) { return blob.second.find("secret") != std::string::npos; });
  }
};

}  // namespace

TEST_CASE("a symbolic link in a mounted folder stays one, and what it leads to outside is never read") {
  Checkout checkout;
  const auto absolute = (checkout.outside.path() / "shadow").string();
  for (const bool reloads : {false, true}) {
    const auto found = checkout.travel(reloads);
    CHECK(checkout.told(found) == std::vector<std::string>{"/conf/a.conf = a", "/conf/absolute -> " + absolute, "/conf/dangling -> nowhere", "/conf/deep/b.conf = b",
                                                           "/conf/deep/relative -> ../../shadow", "/conf/folder -> deep", "/conf/inside -> a.conf"});
    CHECK_FALSE(checkout.took_from_outside());
    REQUIRE(found.warnings.size() == 1);
    CHECK(found.warnings.front().find("and 1 more") != std::string::npos);
    CHECK(found.warnings.front().find("stays one") != std::string::npos);
  }
}

TEST_CASE("a link to what the container has mounted elsewhere needs no word") {
  Checkout checkout;
  for (const char* name : {"absolute", "deep/relative"}) fs::remove(checkout.directory / "conf" / name);
  fs::create_directories(checkout.directory / "available");
  io::write_file(checkout.directory / "available/site.conf", "site");
  fs::create_symlink("../available/site.conf", checkout.directory / "conf/site.conf");
  CHECK(checkout.travel().warnings.size() == 1);
  checkout.mount("available", "/available");
  CHECK(checkout.travel().warnings.empty());
}

TEST_CASE("where files are mounted one by one a link within the folder is its file, and others are left out and told") {
  Checkout checkout;
  checkout.service.read_only = true;
  const auto found = checkout.travel();
  CHECK(checkout.told(found) == std::vector<std::string>{"/conf/a.conf mounted a", "/conf/deep/b.conf mounted b", "/conf/inside mounted a"});
  CHECK_FALSE(checkout.took_from_outside());
  REQUIRE(found.warnings.size() == 1);
  CHECK(found.warnings.front().find("and 3 more") != std::string::npos);
  CHECK(found.warnings.front().find("left out") != std::string::npos);
}

TEST_CASE("links count for the room, and what they lead to does not") {
  Checkout checkout;
  io::write_file(checkout.outside.path() / "large", std::string(20U << 20U, 'x'));
  fs::create_symlink("../../large", checkout.directory / "conf/large");
  const auto found = checkout.travel();
  CHECK(found.notes.empty());
  CHECK(found.files.size() == 8);
}

TEST_CASE("what can't be read is the compose file's fault, and named") {
  Checkout checkout;
  fs::create_symlink("round", checkout.directory / "round");
  checkout.mount("round", "/round");
  CHECK_THROWS_WITH_AS(checkout.travel(), doctest::Contains("round\" of service \"web\" can't be read"), Failure);
}

TEST_CASE("a link is a link in the archive for a container, and another file than one with its words") {
  release::FileRef link{"/conf/a", "sum", 0777, 0, 0, false, false, true};
  const auto entry = entry_of(link, "../b");
  CHECK(entry.kind == io::TarEntry::Kind::symlink);
  CHECK(entry.path == "conf/a");
  CHECK(entry.link_target == "../b");
  CHECK(entry.content.empty());
  auto file = link;
  file.link = false;
  CHECK_FALSE(file == link);
  CHECK(entry_of(file, "../b").content == "../b");
}
