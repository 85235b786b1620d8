// Whoever can write the store changes a backup between its check and its use.
#include <filesystem>

#include "lib/backup/pieces.hpp"
#include "lib/backup/restore.hpp"
#include "lib/io/compression.hpp"
#include "tests/support/backup_fixture.hpp"
#include "tests/support/forwarding_store.hpp"

using namespace codops;
using namespace codops::tests;
namespace fs = std::filesystem;

namespace {

// A store whose objects are what they are until one of them has been read so often; then somebody puts others in their place.
class Changing final : public ForwardingStore {
 public:
  Changing(store::Store& real, std::string object, int reads, std::string then) : ForwardingStore{real}, object_{std::move(object)}, reads_{reads}, then_{std::move(then)} {}
  std::unique_ptr<io::Reader> open(const std::string& name, const Limits& limits) override {
    if (name == object_ && reads_-- == 0) {
      real_.put(name, then_, limits);
      changed = true;
    }
    return real_.open(name, limits);
  }
  bool changed{};

 private:
  std::string object_;
  int reads_;
  std::string then_;
};

std::string unpacked(const std::string& stored) {
  io::TextReader source{stored};
  io::ZstdReader reader{source};
  return io::read_all(reader, 64U << 20U);
}

std::string packed(std::string_view plain) {
  io::TextWriter out;
  io::ZstdWriter writer{out, {}};
  writer.write(plain);
  writer.finish();
  return out.text;
}

// In place of the view's definition, as long as that: a command of the operating system on the database server. It takes the row that it
// is given: a pipe that nobody reads fails the COPY, now and then.
std::string with_command(std::string dump, const std::string& command) {
  const auto begin = dump.find("CREATE VIEW public.harmless");
  const auto end = dump.find(" AS c;\n", begin) + 7;
  auto instead = "COPY (SELECT 1) TO PROGRAM '" + command + "';\nCREATE VIEW public.harmless AS SELECT 1 AS c;\n--";
  REQUIRE(begin != std::string::npos);
  REQUIRE(instead.size() < end - begin);
  instead.resize(end - begin - 1, '-');
  return dump.replace(begin, end - begin, instead + '\n');
}

}  // namespace

TEST_CASE("restore: nothing runs of what is put into the store after the check, head, SQL or rows") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, "CREATE TABLE t AS SELECT i, md5(i::text) AS m FROM generate_series(1, 200000) i; CREATE VIEW harmless AS SELECT '" + std::string(400, 'h') + "' AS c"};
  const auto sign = server->folder() + "/ran";
  Backups backups;
  backups.keys.signing = io::new_signing_key();
  backup::Options options;
  backup::RestoreRequest request;
  std::string object = "database.dump.zst";
  bool as_drill = false;
  SUBCASE("the archive") {}
  SUBCASE("the archive, into another database") { request.into = shop.name + "_other"; }
  SUBCASE("the archive, of which a table is wanted") { request.tables = {"t"}; }
  SUBCASE("the archive, in a drill") { as_drill = true; }
  SUBCASE("SQL") {
    options.dump.archive = false;
    options.dump.plain = true;
    object = "database.sql.zst";
  }
  const auto taken = backups.take(shop.target(), options);
  const auto name = "shop/test/" + taken.manifest.label + "/" + object;
  const auto evil = with_command(unpacked(*backups.store.get(name, Limits{})), "cat >/dev/null; touch " + sign);

  // It does run where it is what was asked for: as a dump file.
  io::TemporaryFolder folder;
  io::write_file(folder.path() / "evil", evil);
  backup::RestoreRequest file;
  file.file = folder.path() / "evil";
  file.into = shop.name + "_evil";
  backup::restore(backups.catalogue, {"test", shop.target(), {}}, file, {}, {}, backups.keys, backups.clock, backups.reporter, a_minute());
  REQUIRE(fs::remove(sign));
  ask(shop.target("postgres"), "DROP DATABASE " + file.into);

  for (const int reads : {1, 2, 3}) {
    CAPTURE(reads);
    Backups again;
    // The same backup, of a store that nobody has changed yet.
    for (const auto& listed : backups.store.list("shop/test", Limits{})) again.store.put(listed.name, *backups.store.get(listed.name, Limits{}), Limits{});
    Changing changing{again.store, name, reads, packed(evil)};
    backup::Catalogue catalogue{changing, "shop/test", backups.keys.signing->public_key};
    const backup::Subject subject{"test", shop.target(), {}};
    bool failed = false;
    request.backup = taken.manifest.label;
    request.safety_backup = false;
    try {
      if (as_drill) {
        const auto entry = catalogue.find(taken.manifest.label, Limits{});
        failed = !backup::drill(catalogue, entry, server->tcp(), false, {}, backups.keys, backups.clock, backups.reporter, a_minute()).same;
      } else if (!request.tables.empty()) {
        backup::restore_tables(catalogue, subject, request, backups.keys, backups.clock, backups.reporter, a_minute());
      } else {
        backup::restore(catalogue, subject, request, {}, {}, backups.keys, backups.clock, backups.reporter, a_minute());
      }
    } catch (const Failure& failure) {
      failed = true;
      CHECK(failure.code() == Exit::data);
      CHECK(failure.message().find("no longer what was checked") != std::string::npos);
    }
    CHECK(failed == changing.changed);
    CHECK(changing.changed == (reads < 3 || !request.tables.empty()));
    CHECK_FALSE(fs::exists(sign));
    CHECK(answer(shop.target(), "SELECT count(*)::text FROM t") == "200000");
    CHECK(answer(shop.target("postgres"), "SELECT count(*)::text FROM pg_database WHERE datname ~ '^" + shop.name + "_(new|tables|drill)'") == "0");
    if (!request.into.empty()) ask(shop.target("postgres"), "DROP DATABASE IF EXISTS " + request.into);
  }
}

TEST_CASE("pieces: every other text, shorter, longer or changed anywhere, is refused before its piece is passed on") {
  std::string text;
  for (std::size_t i = 0; text.size() < 2 * backup::Pieces::piece_size + 4711; ++i) text += std::to_string(i);
  for (const auto size : {std::size_t{}, std::size_t{5}, backup::Pieces::piece_size, text.size(), 2 * backup::Pieces::piece_size}) {
    CAPTURE(size);
    const auto original = text.substr(0, size);
    backup::Pieces pieces;
    for (std::size_t at = 0; at < size; at += 70'001) pieces.feed(std::string_view{original}.substr(at, 70'001));
    pieces.finish();
    const auto passes = [&](const std::string& other) {
      io::TextReader source{other};
      backup::SameReader reader{source, pieces, [] { return Failure{Exit::data, "changed"}; }};
      std::string got;
      char buffer[4097];
      try {
        while (const auto count = reader.read(buffer, sizeof buffer)) got.append(buffer, count);
      } catch (const Failure&) {
        CHECK(original.starts_with(got));
        CHECK(got.size() % backup::Pieces::piece_size == 0);
        return false;
      }
      return got == other;
    };
    CHECK(passes(original));
    CHECK_FALSE(passes(original + "x"));
    CHECK_FALSE(passes(original + text));
    if (size == 0) continue;
    CHECK_FALSE(passes(original.substr(0, size - 1)));
    CHECK_FALSE(passes({}));
    for (const auto at : {std::size_t{}, size / 2, size - 1}) {
      auto other = original;
      other[at] ^= 1;
      CHECK_FALSE(passes(other));
    }
    if (size > backup::Pieces::piece_size) CHECK_FALSE(passes(original.substr(0, backup::Pieces::piece_size)));
  }
}
