#include "lib/backup/files_part.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "lib/backup/restore.hpp"
#include "lib/backup/verify.hpp"
#include "tests/support/backup_fixture.hpp"

using namespace codops;
using namespace codops::tests;
namespace fs = std::filesystem;

namespace {

// Names, kinds, contents, modes, times, numbers of names and link targets below a folder, what restores keep left out.
std::map<std::string, std::string> tree(const fs::path& folder) {
  std::map<std::string, std::string> all;
  for (auto at = fs::recursive_directory_iterator{folder}; at != fs::recursive_directory_iterator{}; ++at) {
    const auto name = at->path().lexically_relative(folder).string();
    if (backup::is_laid_aside(name)) {
      at.disable_recursion_pending();
      continue;
    }
    struct stat status {};
    ::lstat(at->path().c_str(), &status);
    auto& text = all[name] = std::to_string(status.st_mode) + " " + std::to_string(status.st_mtim.tv_sec) + "." + std::to_string(status.st_mtim.tv_nsec) + " ";
    if (S_ISREG(status.st_mode)) text += std::to_string(status.st_nlink) + " ";
    if (S_ISLNK(status.st_mode)) text = "-> " + fs::read_symlink(at->path()).string();
    if (S_ISREG(status.st_mode)) text += io::read_file(at->path());
  }
  return all;
}

void make_uploads(const fs::path& folder) {
  io::make_folders(folder / "2026" / "11");
  io::write_file(folder / "a.txt", "hello", 0644);
  io::write_file(folder / "empty", "");
  io::write_file(folder / "2026" / "11" / "large", io::random_bytes(700'000));
  io::write_file(folder / "2026" / "\xc3\xa4\xff odd\nname", "x");
  fs::create_symlink("../../etc/passwd", folder / "2026" / "link");
  fs::create_directory(folder / "nothing inside");
  ::chmod((folder / "a.txt").c_str(), 0754);
  // One file under three names, one of them in another folder, and a time between two seconds.
  fs::create_hard_link(folder / "2026" / "11" / "large", folder / "2026" / "again");
  fs::create_hard_link(folder / "2026" / "11" / "large", folder / "z");
  for (const auto* name : {"a.txt", "2026/11", "2026/11/large"}) {
    const timespec times[2] = {{1'790'000'000, 1}, {1'790'000'000, 123'456'789}};
    ::utimensat(AT_FDCWD, (folder / name).c_str(), times, 0);
  }
}

// What kills a restore: the k-th change, and everything after it.
class DyingEntries final : public backup::Entries {
 public:
  DyingEntries(backup::Entries& inner, int lives) : inner_{inner}, lives_{lives} {}
  std::vector<std::string> names(const std::string& folder, const Limits& limits) override { return inner_.names(folder, limits); }
  void make(const std::string& folder, const Limits& limits) override { live(); inner_.make(folder, limits); }
  void move(const std::vector<std::string>& names, const std::string& from, const std::string& to, const Limits& limits) override {
    for (const auto& name : names) {
      live();
      inner_.move({name}, from, to, limits);
    }
  }
  void rename(const std::string& from, const std::string& to, const Limits& limits) override { live(); inner_.rename(from, to, limits); }
  void remove(const std::string& folder, const Limits& limits) override { live(); inner_.remove(folder, limits); }
  bool survived() const { return lives_ >= 0; }

 private:
  void live() {
    if (--lives_ < 0) throw Failure{Exit::failed, "dead"};
  }
  backup::Entries& inner_;
  int lives_;
};

}  // namespace

TEST_CASE("files: a folder comes back as it was, beside the database, and goes again") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, "CREATE TABLE t AS SELECT generate_series(1,10) a"};
  Backups backups;
  const io::TemporaryFolder folder;
  const auto uploads = folder.path() / "uploads";
  make_uploads(uploads);
  const auto before = tree(uploads);
  backup::Subject subject{"test", shop.target(), {}};
  subject.files.push_back({uploads.string(), uploads, nullptr, {}});
  const auto taken = backup::take(backups.catalogue, subject, {}, backups.keys, backups.clock, backups.reporter, a_minute());
  const auto* part = taken.manifest.find("files");
  REQUIRE(part != nullptr);
  CHECK(part->counts.at("files") == 7);
  CHECK(part->counts.at("folders") == 3);
  CHECK(part->counts.at("bytes") == 5 + 1 + 700'000);
  backup::Progress progress{backups.reporter, backups.clock, "verify", 0};
  CHECK(backup::verify(backups.catalogue, backups.catalogue.find("latest", Limits{}), backups.keys, backups.clock.now(), progress, a_minute()).whole);

  fs::remove_all(uploads / "2026");
  io::write_file(uploads / "later", "x");
  io::write_file(uploads / "a.txt", "changed");
  const auto changed = tree(uploads);
  backup::RestoreRequest request;
  request.backup = taken.manifest.label;
  const auto restored = backup::restore(backups.catalogue, subject, request, {}, {}, backups.keys, backups.clock, backups.reporter, a_minute());
  CHECK(tree(uploads) == before);
  CHECK(fs::equivalent(uploads / "z", uploads / "2026" / "again"));
  CHECK(fs::equivalent(uploads / "z", uploads / "2026" / "11" / "large"));
  CHECK(restored.kept.size() == 1);
  // What restores keep is not backed up with the rest.
  const auto again = backup::take(backups.catalogue, subject, {}, backups.keys, backups.clock, backups.reporter, a_minute());
  CHECK(again.manifest.find("files")->counts == part->counts);
  backup::undo_restore(subject, {}, {}, backups.clock, backups.reporter, a_minute());
  CHECK(tree(uploads) == changed);

  // Only that part: the database stays, and an undo leaves it alone.
  request.parts = {uploads.string()};
  ask(shop.target(), "DELETE FROM t");
  backup::restore(backups.catalogue, subject, request, {}, {}, backups.keys, backups.clock, backups.reporter, a_minute());
  CHECK(tree(uploads) == before);
  CHECK(answer(shop.target(), "SELECT count(*)::text FROM t") == "0");
  backup::undo_restore(subject, {}, {}, backups.clock, backups.reporter, a_minute());
  CHECK(tree(uploads) == changed);
  CHECK(answer(shop.target(), "SELECT count(*)::text FROM t") == "0");
}

TEST_CASE("files: killed at any change of a swap, the next restore finds what was live") {
  const std::string stamp = "20261123_101500_250", fresh = ".codops-new-" + stamp;
  for (int lives = 0; lives < 40; ++lives) {
    CAPTURE(lives);
    const io::TemporaryFolder folder;
    make_uploads(folder.path());
    const auto before = tree(folder.path());
    const auto entries = backup::local_entries(folder.path());
    io::make_folders(folder.path() / fresh);
    for (const auto* name : {"a.txt", "fresh", "other"}) io::write_file(folder.path() / fresh / name, "new");
    DyingEntries dying{*entries, lives};
    try {
      // The mending that a failure starts at once dies with it.
      backup::swap_entries(dying, stamp, Limits{});
    } catch (const Failure&) {
    }
    if (dying.survived()) {
      CHECK(tree(folder.path()).size() == 3);
      CHECK(lives > 8);
      backup::swap_entries_back(*entries, stamp, Limits{});
      CHECK(tree(folder.path()) == before);
      return;
    }
    backup::mend_swap(*entries, Limits{});
    CHECK(tree(folder.path()) == before);
    CHECK(entries->names(fresh, Limits{}).empty());
  }
  FAIL("a swap never survived");
}

TEST_CASE("files: only a name with a stamp is a restore's; a user's .codops-… is a file like the rest, and no undo takes it") {
  CHECK(backup::is_laid_aside(".codops-before-20261123_101500_250"));
  CHECK(backup::is_laid_aside(".codops-undone-20261123_101500_250"));
  for (const char* users : {".codops-before-zz", ".codops-before-", ".codops-before-20261123_101500_25", ".codops-before-20261123_101500_250x", ".codops-before-20261399_101500_250",
                            ".codops-before-99999999_999999_999", ".codops-20261123_101500_250", "x.codops-before-20261123_101500_250", ".codops-new-1"}) {
    CAPTURE(users);
    CHECK_FALSE(backup::is_laid_aside(users));
  }
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, "CREATE TABLE t AS SELECT generate_series(1,10) a"};
  Backups backups;
  const io::TemporaryFolder folder;
  const auto uploads = folder.path() / "uploads";
  make_uploads(uploads);
  for (const char* mine : {".codops-before-zz", ".codops-new-mine", ".codops-moving-mine"}) {
    fs::create_directory(uploads / mine);
    io::write_file(uploads / mine / "f", mine);
  }
  io::write_file(uploads / ".codops-notes", "mine");
  const auto before = tree(uploads);
  REQUIRE(before.contains(".codops-new-mine/f"));
  backup::Subject subject{"test", shop.target(), {}};
  subject.files.push_back({uploads.string(), uploads, nullptr, {}});
  const auto undo = [&] { return backup::undo_restore(subject, {}, {}, backups.clock, backups.reporter, a_minute()); };
  // Nothing was restored: there is nothing to undo, and nothing moves.
  CHECK_THROWS_AS(undo(), Failure);
  CHECK(tree(uploads) == before);
  const auto taken = backup::take(backups.catalogue, subject, {}, backups.keys, backups.clock, backups.reporter, a_minute());
  fs::remove_all(uploads / ".codops-before-zz");
  io::write_file(uploads / ".codops-notes", "changed");
  const auto changed = tree(uploads);
  backup::RestoreRequest request;
  request.backup = taken.manifest.label;
  backup::restore(backups.catalogue, subject, request, {}, {}, backups.keys, backups.clock, backups.reporter, a_minute());
  CHECK(tree(uploads) == before);
  // The whole of it is undone, database and files, though ".codops-before-zz" sorts last.
  auto undone = undo();
  CHECK(undone.database == shop.name);
  CHECK(undone.kept == std::vector<std::string>{uploads.string()});
  CHECK(tree(uploads) == changed);
  // The files alone: the database is not named.
  request.parts = {uploads.string()};
  backup::restore(backups.catalogue, subject, request, {}, {}, backups.keys, backups.clock, backups.reporter, a_minute());
  CHECK(tree(uploads) == before);
  undone = undo();
  CHECK(undone.database.empty());
  CHECK(undone.aside.empty());
  CHECK(undone.kept == std::vector<std::string>{uploads.string()});
  CHECK(tree(uploads) == changed);
}

TEST_CASE("files: an archive of somebody else writes nothing outside, and no devices or setuid bits") {
  const io::TemporaryFolder folder;
  const auto inside = folder.path() / "inside";
  const auto unpack = [&](std::vector<io::TarEntry> entries) {
    fs::remove_all(inside);
    fs::create_directory(inside);
    const auto bytes = io::write_tar(entries);
    io::TarReader reader{io::bytes_of(bytes)};
    io::unpack_tar(reader, inside, 0, {});
  };
  using Kind = io::TarEntry::Kind;
  const auto file = [](const std::string& path, unsigned mode = 0644) {
    io::TarEntry entry;
    entry.path = path;
    entry.content = "x";
    entry.mode = mode;
    return entry;
  };
  const auto link = [](const std::string& path, const std::string& to, Kind kind) {
    io::TarEntry entry;
    entry.path = path;
    entry.kind = kind;
    entry.link_target = to;
    return entry;
  };
  CHECK_THROWS_AS(unpack({file("../out")}), Failure);
  CHECK_THROWS_AS(unpack({file("/tmp/codops-out")}), Failure);
  CHECK_THROWS_AS(unpack({link("d", "..", Kind::symlink), file("d/out")}), Failure);
  CHECK_THROWS_AS(unpack({link("h", "../secret", Kind::hardlink)}), Failure);
  CHECK_THROWS_AS(unpack({link("s", "/etc/passwd", Kind::symlink), link("h", "s", Kind::hardlink)}), Failure);
  CHECK_FALSE(fs::exists(folder.path() / "out"));
  unpack({file("a", 04755), link("h", "a", Kind::hardlink), link("s", "/etc/passwd", Kind::symlink)});
  struct stat status {};
  REQUIRE(::stat((inside / "a").c_str(), &status) == 0);
  CHECK((status.st_mode & 07777U) == 0755);
  CHECK(status.st_nlink == 2);
}
