#include "lib/backup/files_part.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>

#include "lib/backup/export.hpp"
#include "lib/backup/restore.hpp"
#include "lib/backup/verify.hpp"
#include "lib/io/process.hpp"
#include "lib/io/tar_special.hpp"
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
    if (S_ISREG(status.st_mode)) text += io::read_file(at->path(), 1U << 30U);
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

TEST_CASE("files: holes stay holes, in the store and when they come back, and tar reads them") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, "CREATE TABLE t AS SELECT generate_series(1,10) a"};
  Backups backups;
  const io::TemporaryFolder folder;
  const auto uploads = folder.path() / "uploads";
  fs::create_directory(uploads);
  constexpr std::uintmax_t mega = 1U << 20U;
  // Bytes at offsets, and the size of the whole: nothing at all, in front, in the middle, at the end, and with small holes only.
  const auto make = [&](const char* name, std::uintmax_t size, const std::map<std::uintmax_t, std::size_t>& data) {
    const auto fd = ::open((uploads / name).c_str(), O_CREAT | O_WRONLY, 0644);
    REQUIRE(fd >= 0);
    for (const auto& [offset, count] : data) {
      const auto bytes = io::random_bytes(count);
      REQUIRE(::pwrite(fd, bytes.data(), count, static_cast<off_t>(offset)) == static_cast<ssize_t>(count));
    }
    REQUIRE(::ftruncate(fd, static_cast<off_t>(size)) == 0);
    ::close(fd);
  };
  make("hole", 64 * mega, {});
  make("front", 16 * mega + 1, {{0, 5000}});
  make("middle", 16 * mega + 7, {{3 * mega + 11, 200'000}, {9 * mega, 1}});
  make("end", 16 * mega, {{16 * mega - 3, 3}});
  make("small", 3 * 12288, {{0, 4096}, {12288, 4096}, {24576, 4096}});
  make("before data", mega, {{8192, mega - 8192}});
  make("none", 100'000, {{0, 100'000}});
  const auto blocks = [](const fs::path& file) {
    struct stat status {};
    REQUIRE(::stat(file.c_str(), &status) == 0);
    return status.st_blocks;
  };
  if (blocks(uploads / "hole") != 0) {
    MESSAGE("the file system has no holes");
    return;
  }
  const auto before = tree(uploads);
  std::map<std::string, blkcnt_t> used;
  for (const auto& entry : fs::directory_iterator{uploads}) used[entry.path().filename()] = blocks(entry.path());
  backup::Subject subject{"test", shop.target(), {}};
  subject.files.push_back({uploads.string(), uploads, nullptr, {}});
  const auto taken = backup::take(backups.catalogue, subject, {}, backups.keys, backups.clock, backups.reporter, a_minute());
  const auto* part = taken.manifest.find("files");
  REQUIRE(part != nullptr);
  CHECK(part->plain_size < 2 * mega);
  CHECK(part->counts.at("bytes") == 64 * mega + 3 * 16 * mega + 8 + 3 * 12288 + mega + 100'000);
  backup::Progress progress{backups.reporter, backups.clock, "verify", 0};
  CHECK(backup::verify(backups.catalogue, backups.catalogue.find("latest", Limits{}), backups.keys, backups.clock.now(), progress, a_minute()).whole);
  io::TextWriter tar;
  backup::export_part(backups.catalogue, taken.manifest, uploads.string(), backups.keys, tar, a_minute());
  io::write_file(folder.path() / "part.tar", tar.text);
  fs::create_directory(folder.path() / "by tar");
  io::capture({{"tar", "-xf", (folder.path() / "part.tar").string(), "-C", (folder.path() / "by tar").string()}, {}, {}}, a_minute());
  CHECK(tree(folder.path() / "by tar") == before);
  // What passes through a reader that asks for every byte has them too.
  io::TarReader reader{io::bytes_of(tar.text)};
  while (const auto entry = reader.next()) {
    std::uint64_t size = 0;
    char buffer[70'000];
    while (const auto got = reader.read(buffer, sizeof buffer)) size += got;
    CAPTURE(entry->path);
    CHECK(size == entry->size);
  }

  for (const auto& entry : fs::directory_iterator{uploads}) fs::resize_file(entry.path(), 1);
  backup::RestoreRequest request;
  request.backup = taken.manifest.label;
  request.parts = {uploads.string()};
  backup::restore(backups.catalogue, subject, request, {}, {}, backups.keys, backups.clock, backups.reporter, a_minute());
  CHECK(tree(uploads) == before);
  for (const auto& [name, count] : used) {
    CAPTURE(name);
    CHECK(blocks(uploads / name) <= count + (name == "small" || name == "before data" ? 64 : 8));
  }
}

TEST_CASE("files: attributes that are not kept are told") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, "CREATE TABLE t AS SELECT 1 a"};
  Backups backups;
  const io::TemporaryFolder folder;
  make_uploads(folder.path());
  if (::setxattr((folder.path() / "a.txt").c_str(), "user.note", "x", 1, 0) != 0) {
    MESSAGE("the file system has no extended attributes");
    return;
  }
  struct Told final : Reporter {
    void report(const Event& event) override { text += event.text + "\n"; }
    std::string text;
  } told;
  backup::Subject subject{"test", shop.target(), {}};
  subject.files.push_back({"uploads", folder.path(), nullptr, {}});
  backup::take(backups.catalogue, subject, {}, backups.keys, backups.clock, told, a_minute());
  CHECK(told.text.find("uploads: 1 files or folders have extended attributes") != std::string::npos);
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
    } catch (const Failure& failure) {
      CHECK(failure.code() == Exit::undo_failed);
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

TEST_CASE("files: killed at any change of an undo, the next run finds what was live before it, or all that was put aside") {
  const std::string stamp = "20261123_101500_250";
  for (int lives = 0; lives < 60; ++lives) {
    CAPTURE(lives);
    const io::TemporaryFolder folder;
    make_uploads(folder.path());
    const auto before = tree(folder.path());
    const auto entries = backup::local_entries(folder.path());
    io::make_folders(folder.path() / (".codops-new-" + stamp));
    for (const auto* name : {"a.txt", "fresh", "other"}) io::write_file(folder.path() / (".codops-new-" + stamp) / name, "new");
    backup::swap_entries(*entries, stamp, Limits{});
    const auto restored = tree(folder.path());
    DyingEntries dying{*entries, lives};
    try {
      backup::undo_entries(dying, stamp, Limits{});
    } catch (const Failure& failure) {
      CHECK(failure.code() == (lives == 0 ? Exit::failed : Exit::undo_failed));
    }
    if (!dying.survived()) {
      backup::mend_swap(*entries, Limits{});
      CHECK_FALSE(backup::needs_mending(*entries, Limits{}));
      if (tree(folder.path()) != before) {
        CHECK(tree(folder.path()) == restored);
        backup::undo_entries(*entries, stamp, Limits{});
      }
    }
    CHECK(tree(folder.path()) == before);
    CHECK(entries->names(".codops-undone-" + stamp, Limits{}) == std::vector<std::string>{"a.txt", "fresh", "other"});
    CHECK(backup::entries_put_aside(*entries, Limits{}).empty());
    if (!dying.survived()) continue;
    CHECK(lives > 8);
    return;
  }
  FAIL("an undo never survived");
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

TEST_CASE("files: setgid of folders and setuid of files come back as root, and are missed aloud otherwise") {
  const io::TemporaryFolder folder;
  const auto inside = folder.path() / "inside";
  fs::create_directory(inside);
  io::TarEntry shared, tool;
  shared.path = "shared";
  shared.kind = io::TarEntry::Kind::directory;
  shared.mode = 02775;
  tool.path = "shared/tool";
  tool.content = "x";
  tool.mode = 04755;
  shared.uid = tool.uid = ::geteuid();
  shared.gid = tool.gid = ::getegid();
  const auto unpack = [&] {
    const auto bytes = io::write_tar({shared, tool});
    io::TarReader reader{io::bytes_of(bytes)};
    return io::unpack_own_tar(reader, inside, 0);
  };
  const auto mode = [&](const char* name) {
    struct stat status {};
    REQUIRE(::stat((inside / name).c_str(), &status) == 0);
    return status.st_mode & 07777U;
  };
  if (::geteuid() == 0) {
    CHECK(unpack().less_special == 0);
    CHECK(mode("shared") == 02775);
    CHECK(mode("shared/tool") == 04755);
    // The same as somebody else, whose the folder is.
    constexpr uid_t nobody = 65534;
    fs::remove_all(inside / "shared");
    shared.uid = tool.uid = nobody;
    REQUIRE(::chown(inside.c_str(), nobody, nobody) == 0);
    REQUIRE(::chmod(folder.path().c_str(), 0755) == 0);
    REQUIRE(::seteuid(nobody) == 0);
    const auto unpacked = unpack();
    REQUIRE(::seteuid(0) == 0);
    CHECK(unpacked.less_special == 2);
  } else {
    CHECK(unpack().less_special == 2);
  }
  CHECK((mode("shared") & 06000U) == 0);
  CHECK((mode("shared/tool") & 06000U) == 0);
}

TEST_CASE("files: what a restore that died had laid beside a folder goes with the next backup, and is in none") {
  auto* postgres = PostgresServer::shared();
  if (postgres == nullptr) return;
  Shop shop{*postgres, "CREATE TABLE t AS SELECT generate_series(1,10) a"};
  Backups backups;
  const io::TemporaryFolder place;
  const auto uploads = place.path() / "uploads";
  make_uploads(uploads);
  const auto before = tree(uploads);
  backup::Subject subject{"test", shop.target(), {}};
  backup::FilesPlace files;
  files.name = "uploads";
  files.directory = uploads;
  subject.files.push_back(files);
  const auto take = [&] { return backup::take(backups.catalogue, subject, {}, backups.keys, backups.clock, backups.reporter, a_minute()).manifest; };
  const auto counts = take().find("files")->counts;
  io::make_folders(uploads / ".codops-new-20261123_101500_250" / "x");
  io::write_file(uploads / ".codops-new-20261123_101500_250" / "x" / "half", "of it");
  // While a restore is at work nobody touches what it lays out.
  {
    auto server = io::postgres::Connection::open(shop.target("postgres"), a_minute());
    server.query("SELECT pg_advisory_lock(hashtextextended('codops restore ' || $1, 0))", {shop.name}, a_minute());
    CHECK(take().find("files")->counts == counts);
    CHECK(fs::exists(uploads / ".codops-new-20261123_101500_250" / "x" / "half"));
  }
  CHECK(take().find("files")->counts == counts);
  CHECK_FALSE(fs::exists(uploads / ".codops-new-20261123_101500_250"));
  CHECK(tree(uploads) == before);
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
