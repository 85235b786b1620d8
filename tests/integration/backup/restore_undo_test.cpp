// When taking back goes wrong: what remains is told, with exit 6, and the next run puts it right.
#include "lib/backup/half_restored.hpp"
#include "tests/support/redis_server.hpp"
#include "tests/support/restore_fixture.hpp"

using namespace codops;
using namespace codops::tests;

namespace {

Failure failure_in(const std::function<void()>& work) {
  try {
    work();
  } catch (const Failure& failure) {
    return failure;
  }
  FAIL("it did not fail");
  return {Exit::ok, ""};
}

bool says(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::string comment_of(const Shop& shop) {
  return answer(shop.target("postgres"), "SELECT COALESCE(shobj_description(oid, 'pg_database'), '') FROM pg_database WHERE datname = '" + shop.name + "'");
}

// A database, Redis and a folder, backed up; and changed since.
struct Three : Backups {
  Three(Shop& from, const OwnRedis& keys) : shop{from}, redis{keys}, uploads{place.path() / "uploads"}, subject{"test", from.target(), {}} {
    io::make_folders(uploads);
    io::write_file(uploads / "a.txt", "old");
    ask(shop.target(), "CREATE TABLE t AS SELECT generate_series(1, 10) a; COMMENT ON DATABASE " + shop.name + " IS 'theirs'");
    redis.ask({{"SET", "key", "old"}});
    subject.redis = redis.target();
    subject.files.push_back({"uploads", uploads, nullptr, {}});
    request.backup = backup::take(catalogue, subject, {}, Backups::keys, clock, reporter, a_minute()).manifest.label;
    request.safety_backup = false;
    ask(shop.target(), "DELETE FROM t WHERE a > 3");
    redis.ask({{"SET", "key", "new"}});
    io::write_file(uploads / "a.txt", "new");
    io::write_file(uploads / "b.txt", "new");
  }
  backup::Restored restore(const backup::RestoreHooks& hooks = {}) { return backup::restore(catalogue, subject, request, {}, hooks, Backups::keys, clock, reporter, a_minute()); }
  backup::Restored undo(const backup::RestoreHooks& hooks = {}) { return backup::undo_restore(subject, {}, hooks, clock, reporter, a_minute()); }
  backup::Taken take_again() { return backup::take(catalogue, subject, {}, Backups::keys, clock, reporter, a_minute()); }
  // "10 old old": rows, key, file.
  std::string state() {
    return fmt::format("{} {} {}", answer(shop.target(), "SELECT count(*)::text FROM t"), redis.ask({{"GET", "key"}}).text, io::read_file(uploads / "a.txt"));
  }

  Shop& shop;
  const OwnRedis& redis;
  io::TemporaryFolder place;
  std::filesystem::path uploads;
  backup::Subject subject;
  backup::RestoreRequest request;
};

}  // namespace

TEST_CASE("undo: cut off on its way it says what is put back and what not, no backup is taken of the mix, and asked once more it goes on") {
  auto* server = PostgresServer::shared();
  const auto redis = OwnRedis::start();
  if (server == nullptr || !redis) return;
  Shop shop{*server, "SELECT 1"};
  Three it{shop, *redis};
  it.restore();
  CHECK(it.state() == "10 old old");
  redis->ask({{"ACL", "SETUSER", "default", "-swapdb"}});
  int started = 0;
  const auto failure = failure_in([&] { it.undo({[](const Limits&) {}, [&](const Limits&) { ++started; }, {}, {}}); });
  CHECK(started == 1);
  CHECK(failure.code() == Exit::undo_failed);
  CHECK(says(failure.message(), "\"" + shop.name + "\" is again what was before the restore, Redis is not"));
  CHECK(says(failure.hint(), "codops restore test --undo"));
  CHECK(it.state() == "3 old old");
  const auto refused = failure_in([&] { it.take_again(); });
  CHECK(says(refused.message(), "does not belong together; no backup is taken of it"));
  CHECK(says(refused.hint(), "codops restore test --undo brings it to its end"));
  redis->ask({{"ACL", "SETUSER", "default", "+swapdb"}});
  const auto undone = it.undo();
  CHECK(undone.database == shop.name);
  CHECK(undone.kept == std::vector<std::string>{"Redis", "uploads"});
  CHECK(it.state() == "3 new new");
  CHECK(std::filesystem::exists(it.uploads / "b.txt"));
  CHECK(comment_of(shop) == "theirs");
  it.take_again();
  CHECK(failure_in([&] { it.undo(); }).code() == Exit::usage);
  // Killed when everything was done but the note.
  ask(shop.target("postgres"), "COMMENT ON DATABASE " + shop.name + " IS " + io::postgres::quote_literal(backup::to_comment({"x", "theirs", "20261123_101500_250", true})));
  CHECK(it.undo().kept.empty());
  CHECK(comment_of(shop) == "theirs");
  CHECK(it.state() == "3 new new");
}

TEST_CASE("undo: of a restore that was killed before anything had changed places goes no further back") {
  auto* server = PostgresServer::shared();
  const auto redis = OwnRedis::start();
  if (server == nullptr || !redis) return;
  Shop shop{*server, "SELECT 1"};
  Three it{shop, *redis};
  it.restore();
  ask(shop.target(), "DELETE FROM t WHERE a > 5");
  // Of Redis and folders alone the note is there first.
  ask(shop.target("postgres"), "COMMENT ON DATABASE " + shop.name + " IS " + io::postgres::quote_literal(backup::to_comment({"x", "theirs", "20291123_101500_250", false})));
  CHECK(failure_in([&] { it.take_again(); }).code() == Exit::failed);
  CHECK(it.undo().kept.empty());
  CHECK(it.state() == "5 old old");
  it.take_again();
  CHECK(it.undo().database == shop.name);
  CHECK(it.state() == "3 new new");
}

TEST_CASE("restore: what is swapped and can't be swapped back is told, and an undo puts it right") {
  auto* server = PostgresServer::shared();
  const auto redis = OwnRedis::start();
  if (server == nullptr || !redis) return;
  Shop shop{*server, "SELECT 1"};
  Three it{shop, *redis};
  Owner owner{shop};
  it.subject.database = owner.target;
  it.request.load.no_owner = true;
  // Redis refuses, and the way back takes a second session.
  const auto failure = failure_in([&] {
    it.restore({{}, {}, [&](const io::postgres::Target&, const Limits&) -> std::string {
                  redis->ask({{"ACL", "SETUSER", "default", "-swapdb"}});
                  ask(shop.target("postgres"), "ALTER ROLE " + owner.name + " CONNECTION LIMIT 1");
                  return {};
                }, {}});
  });
  ask(shop.target("postgres"), "ALTER ROLE " + owner.name + " CONNECTION LIMIT -1");
  CAPTURE(failure.message());
  CHECK(failure.code() == Exit::undo_failed);
  CHECK(says(failure.message(), "could not be put back: database: "));
  CHECK(says(failure.message(), "swapdb"));
  CHECK(says(failure.hint(), "what was live is \"" + shop.name + "_before_"));
  CHECK(it.state() == "10 new new");
  CHECK(says(failure_in([&] { it.take_again(); }).message(), "does not belong together"));
  redis->ask({{"ACL", "SETUSER", "default", "+swapdb"}});
  it.undo();
  CHECK(it.state() == "3 new new");
  CHECK(comment_of(shop) == "theirs");
  it.subject.database = shop.target();
  it.take_again();
}

TEST_CASE("restore: a live database that stays read-only is told with exit 6, and the next run makes it writable") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, "CREATE TABLE t AS SELECT generate_series(1, 1000) i"};
  Owner owner{shop};
  Restoring it{shop};
  backup::RestoreRequest request;
  request.backup = it.take(shop.target()).manifest.label;
  request.safety_backup = false;
  request.read_only = request.load.no_owner = true;
  const auto failure = failure_in([&] {
    backup::restore(it.catalogue, {"test", owner.target, {}}, request, {}, {{}, {}, [&](const io::postgres::Target&, const Limits&) -> std::string {
                                                                              ask(shop.target("postgres"), "ALTER DATABASE " + shop.name + " OWNER TO postgres");
                                                                              throw Failure{Exit::data, "step 3 failed"};
                                                                            }, {}},
                    it.keys, it.clock, it.reporter, a_minute());
  });
  CHECK(failure.code() == Exit::undo_failed);
  CHECK(failure.message() == "step 3 failed; and \"" + shop.name + "\" still refuses writes");
  CHECK(answer(shop.target(), "SHOW default_transaction_read_only") == "on");
  it.take(shop.target());
  CHECK(answer(shop.target(), "SHOW default_transaction_read_only") == "off");
  CHECK(it.databases() == shop.name);
}

TEST_CASE("restore: an application that does not start again is told beside what was done, and asked to once more after a signal") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, "CREATE TABLE t AS SELECT generate_series(1, 10) i"};
  Restoring it{shop};
  backup::RestoreRequest request;
  request.backup = it.take(shop.target()).manifest.label;
  request.safety_backup = false;
  bool asked = false;
  const auto no_engine = [](const Limits&) { throw Failure{Exit::unavailable, "no engine", "start it"}; };
  const auto health = [&](const Limits&) {
    asked = true;
    return std::string{};
  };
  ask(shop.target(), "DELETE FROM t");
  const auto restored = it.restore(request, {[](const Limits&) {}, no_engine, {}, health});
  CHECK(restored.unwell == "the application could not be started: no engine (start it)");
  CHECK_FALSE(asked);
  CHECK(answer(shop.target(), "SELECT count(*)::text FROM t") == "10");
  const auto undone = backup::undo_restore({"test", shop.target(), {}}, {}, {[](const Limits&) {}, no_engine, {}, health}, it.clock, it.reporter, a_minute());
  CHECK(undone.unwell == restored.unwell);
  CHECK(answer(shop.target(), "SELECT count(*)::text FROM t") == "0");
  // A signal in its midst: what it began is done once more, in a time of its own.
  CancelSource source;
  Limits limits{Deadline::after(std::chrono::seconds{60}), source.token()};
  int started = 0;
  const auto cut_off = failure_in([&] {
    backup::restore(it.catalogue, {"test", shop.target(), {}}, request, {},
                    {[](const Limits&) {}, [&](const Limits& own) {
                       if (started++ == 0) source.cancel(Exit::interrupted);
                       own.check("starting");
                     }, {}, {}},
                    it.keys, it.clock, it.reporter, limits);
  });
  CHECK(cut_off.code() == Exit::interrupted);
  CHECK(says(cut_off.message(), "what was wanted is done and live"));
  CHECK(started == 2);
  CHECK(answer(shop.target(), "SELECT count(*)::text FROM t") == "10");
}
