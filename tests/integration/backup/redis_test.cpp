#include "lib/backup/redis_part.hpp"

#include "lib/backup/part_stream.hpp"
#include "lib/backup/restore.hpp"
#include "lib/backup/verify.hpp"
#include "lib/store/process_identity.hpp"
#include "tests/support/backup_fixture.hpp"
#include "tests/support/redis_server.hpp"

using namespace codops;
using namespace codops::tests;

namespace {

// Every type and the encodings that each has, in two databases; `big` is beyond one read of the network.
void fill(const OwnRedis& redis) {
  std::vector<std::vector<std::string>> commands{
      {"SET", "text", "hello"}, {"SET", "number", "12345"}, {"SET", "big", std::string(300'000, 'x')}, {"SET", "packed", std::string(5000, 'a')},
      {"SET", "odd \r\n key", std::string{"\0\xff", 2}}, {"SET", "soon", "gone", "PX", "600000"},
      {"RPUSH", "list", "a", "b", "c"}, {"SADD", "numbers", "1", "2", "3"}, {"SADD", "words", "x", "y"},
      {"ZADD", "scores", "1.5", "a", "2", "b"}, {"HSET", "hash", "f", "v", "g", "w"},
      {"XADD", "stream", "1-1", "k", "v"}, {"XADD", "stream", "2-1", "k", "w"}, {"XGROUP", "CREATE", "stream", "g", "0"},
      {"XREADGROUP", "GROUP", "g", "c", "COUNT", "1", "STREAMS", "stream", ">"}, {"PFADD", "seen", "a", "b"}};
  for (const auto* kind : {"l", "s", "z", "h"}) {
    for (int i = 0; i < 600; ++i) {
      const auto n = std::to_string(i), value = "value " + n + std::string(70, 'v');
      const std::string key = std::string{"large "} + kind;
      if (*kind == 'l') commands.push_back({"RPUSH", key, value});
      if (*kind == 's') commands.push_back({"SADD", key, value});
      if (*kind == 'z') commands.push_back({"ZADD", key, n, value});
      if (*kind == 'h') commands.push_back({"HSET", key, n, value});
    }
  }
  commands.push_back({"SELECT", "3"});
  commands.push_back({"SET", "third", "3"});
  commands.push_back({"FUNCTION", "LOAD", "REPLACE", "#!lua name=mylib\nredis.register_function('f', function() return 7 end)"});
  redis.ask(commands);
}

// DEBUG DIGEST covers every key, value and database.
std::string digest(const OwnRedis& redis) { return redis.ask({{"DEBUG", "DIGEST"}}).text; }

io::RedisAnswer in_database(const OwnRedis& redis, int number, const std::vector<std::string>& command) {
  return redis.ask({{"SELECT", std::to_string(number)}, command});
}

}  // namespace

TEST_CASE("Redis: spare databases are empty, highest first, and none is one that matters") {
  using backup::spare_databases;
  CHECK(spare_databases(16, {{0, 5}}, {}, {0}) == std::map<int, int>{{0, 15}});
  CHECK(spare_databases(16, {{0, 5}, {15, 9}, {14, 1}}, {15, 14}, {0, 3}) == std::map<int, int>{{0, 13}, {3, 12}});
  // What is live and not in the backup becomes empty.
  CHECK(spare_databases(4, {{0, 1}, {1, 1}}, {}, {0}) == std::map<int, int>{{0, 3}, {1, 2}});
  CHECK_FALSE(spare_databases(2, {{0, 1}, {1, 1}}, {}, {0}));
  CHECK_FALSE(spare_databases(4, {}, {}, {7}));
  // Of others on the same server nothing is touched, whatever the backup has of them.
  CHECK(spare_databases(16, {{0, 5}, {1, 2}}, {}, {0, 1}, 1) == std::map<int, int>{{1, 15}});
  CHECK(spare_databases(16, {{0, 5}}, {}, {0}, 1) == std::map<int, int>{});
}

TEST_CASE("Redis: a backup of every type comes back by a swap, and goes again") {
  auto* postgres = PostgresServer::shared();
  const auto redis = OwnRedis::start({"--enable-debug-command", "yes"});
  if (postgres == nullptr || !redis) return;
  Shop shop{*postgres, "CREATE TABLE t AS SELECT generate_series(1,10) a"};
  Backups backups;
  const auto identity = io::age::new_identity();
  backups.keys.recipients = {identity.recipient()};
  backups.keys.identities.identities = {identity};
  fill(*redis);
  const auto before = digest(*redis);
  backup::Subject subject{"test", shop.target(), {}};
  subject.redis = redis->target();
  const auto taken = backup::take(backups.catalogue, subject, {}, backups.keys, backups.clock, backups.reporter, a_minute());
  const auto* part = taken.manifest.find("redis");
  REQUIRE(part != nullptr);
  CHECK(part->counts == std::map<std::string, std::uint64_t>{{"0", 17}, {"3", 1}});
  backup::Progress progress{backups.reporter, backups.clock, "verify", 0};
  CHECK(backup::verify(backups.catalogue, backups.catalogue.find("latest", Limits{}), backups.keys, backups.clock.now(), progress, a_minute()).whole);

  redis->ask({{"DEL", "text", "hash"}, {"SET", "later", "x"}, {"SELECT", "5"}, {"SET", "fifth", "x"}, {"FUNCTION", "FLUSH"}});
  backup::RestoreRequest request;
  request.backup = taken.manifest.label;
  const auto restore = [&] { return backup::restore(backups.catalogue, subject, request, {}, {}, backups.keys, backups.clock, backups.reporter, a_minute()); };
  const auto restored = restore();
  CHECK(restored.kept.size() == 1);
  CHECK(redis->ask({{"GET", "text"}}).text == "hello");
  CHECK(redis->ask({{"GET", "odd \r\n key"}}).text == std::string{"\0\xff", 2});
  CHECK(redis->ask({{"FCALL", "f", "0"}}).text == "7");
  CHECK(redis->ask({{"PTTL", "soon"}}).text.size() == 6);
  CHECK(in_database(*redis, 5, {"EXISTS", "fifth"}).text == "0");
  CHECK(in_database(*redis, 3, {"GET", "third"}).text == "3");
  CHECK(redis->ask({{"DBSIZE"}}).text == "17");
  // Without what was put aside it is what it was, to the last value.
  for (const auto* spare : {"15", "14", "13", "12"}) redis->ask({{"SELECT", spare}, {"FLUSHDB"}});
  CHECK(digest(*redis) == before);

  redis->ask({{"SET", "newer", "y"}, {"FUNCTION", "LOAD", "REPLACE", "#!lua name=mylib\nredis.register_function('f', function() return 8 end)"},
              {"FUNCTION", "LOAD", "#!lua name=other\nredis.register_function('g', function() return 9 end)"}});
  restore();
  CHECK(redis->ask({{"EXISTS", "newer"}}).text == "0");
  CHECK(redis->ask({{"FCALL", "f", "0"}}).text == "7");
  const auto undone = backup::undo_restore(subject, {}, {}, backups.clock, backups.reporter, a_minute());
  CHECK(undone.kept == std::vector<std::string>{"Redis"});
  CHECK(redis->ask({{"GET", "newer"}}).text == "y");
  CHECK(redis->ask({{"FCALL", "f", "0"}}).text == "8");
  CHECK(redis->ask({{"FCALL", "g", "0"}}).text == "9");
  CHECK(in_database(*redis, 0, {"EXISTS", "codops:restore:functions"}).text == "0");
}

TEST_CASE("Redis: functions come back by an undo where there is nothing else") {
  auto* postgres = PostgresServer::shared();
  const auto redis = OwnRedis::start();
  if (postgres == nullptr || !redis) return;
  Shop shop{*postgres, "CREATE TABLE t AS SELECT 1 a"};
  Backups backups;
  const auto load = [&](const char* value) { redis->ask({{"FUNCTION", "LOAD", "REPLACE", fmt::format("#!lua name=mylib\nredis.register_function('f', function() return {} end)", value)}}); };
  load("7");
  backup::Subject subject{"test", shop.target(), {}};
  subject.redis = redis->target();
  backup::RestoreRequest request;
  request.backup = backup::take(backups.catalogue, subject, {}, backups.keys, backups.clock, backups.reporter, a_minute()).manifest.label;
  request.safety_backup = false;
  load("8");
  backup::restore(backups.catalogue, subject, request, {}, {}, backups.keys, backups.clock, backups.reporter, a_minute());
  CHECK(redis->ask({{"FCALL", "f", "0"}}).text == "7");
  CHECK(redis->ask({{"DBSIZE"}}).text == "0");
  backup::undo_restore(subject, {}, {}, backups.clock, backups.reporter, a_minute());
  CHECK(redis->ask({{"FCALL", "f", "0"}}).text == "8");
  CHECK(redis->ask({{"DBSIZE"}}).text == "0");
}

TEST_CASE("Redis: a database that somebody begins to use while a restore is under way stays theirs") {
  auto* postgres = PostgresServer::shared();
  const auto redis = OwnRedis::start();
  if (postgres == nullptr || !redis) return;
  Shop shop{*postgres, "CREATE TABLE t AS SELECT 1 a"};
  Backups backups;
  redis->ask({{"SET", "mine", "1"}});
  backup::Subject subject{"test", shop.target(), {}};
  subject.redis = redis->target();
  subject.redis->names_database = true;
  const auto manifest = backup::take(backups.catalogue, subject, {}, backups.keys, backups.clock, backups.reporter, a_minute()).manifest;
  const auto limits = a_minute();
  const auto fill_from = [&](backup::RedisRestore& restore) {
    backup::PartReader reader{backups.store, "shop/test/" + manifest.label, *manifest.find("redis"), backups.keys, limits};
    backup::Progress progress{backups.reporter, backups.clock, "restore", 0};
    restore.load(reader, progress, limits);
  };
  {
    // Between the look and the filling: another one is taken.
    backup::RedisRestore restore{*subject.redis, *manifest.find("redis"), limits};
    redis->ask({{"SELECT", "15"}, {"SET", "theirs", "x"}});
    fill_from(restore);
    CHECK(restore.kept() == "database 14");
    // No other restore takes it too.
    const auto code = [&] {
      try {
        const backup::RedisRestore second{*subject.redis, *manifest.find("redis"), limits};
      } catch (const Failure& failure) {
        return failure.code();
      }
      return Exit::ok;
    };
    CHECK(code() == Exit::locked);
    // Filled, and then used: neither taken nor emptied.
    redis->ask({{"SELECT", "14"}, {"SET", "session", "x"}});
    CHECK_THROWS_WITH_AS(restore.swap("20261123_101500_250", limits), doctest::Contains("somebody else writes into database 14"), Failure);
  }
  CHECK(in_database(*redis, 15, {"GET", "theirs"}).text == "x");
  CHECK(in_database(*redis, 14, {"GET", "session"}).text == "x");
  CHECK(in_database(*redis, 14, {"EXISTS", "codops:restore:filling"}).text == "0");
  CHECK(redis->ask({{"GET", "mine"}}).text == "1");
}

TEST_CASE("Redis: of an environment that has one database of several a restore touches that one, and so does its undo") {
  auto* postgres = PostgresServer::shared();
  const auto redis = OwnRedis::start({"--enable-debug-command", "yes"});
  if (postgres == nullptr || !redis) return;
  Shop shop{*postgres, "CREATE TABLE t AS SELECT generate_series(1,10) a"};
  Backups backups;
  fill(*redis);
  backup::Subject subject{"test", shop.target(), {}};
  subject.redis = redis->target();
  subject.redis->database = 3;
  subject.redis->names_database = true;
  const auto taken = backup::take(backups.catalogue, subject, {}, backups.keys, backups.clock, backups.reporter, a_minute());
  backup::RestoreRequest request;
  request.backup = taken.manifest.label;
  const auto restore = [&](const backup::Subject& of) { return backup::restore(backups.catalogue, of, request, {}, {}, backups.keys, backups.clock, backups.reporter, a_minute()); };
  redis->ask({{"SET", "text", "theirs"}, {"FUNCTION", "FLUSH"}});
  in_database(*redis, 3, {"SET", "third", "later"});
  const auto restored = restore(subject);
  CHECK(in_database(*redis, 3, {"GET", "third"}).text == "3");
  CHECK(redis->ask({{"GET", "text"}}).text == "theirs");
  CHECK(std::count_if(restored.notes.begin(), restored.notes.end(), [](const auto& note) { return note == "Redis: the address names database 3; what the backup has of 0 stays as it is on the server"; }) == 1);
  // Theirs is restored after ours: our undo must not take it for ours.
  auto others = subject;
  others.redis->database = 0;
  restore(others);
  CHECK(redis->ask({{"GET", "text"}}).text == "hello");
  backup::undo_redis(*subject.redis, backup::redis_put_aside(*subject.redis, a_minute()), a_minute());
  CHECK(in_database(*redis, 3, {"GET", "third"}).text == "later");
  CHECK(redis->ask({{"GET", "text"}}).text == "hello");
}

TEST_CASE("Redis: what restores put aside or were filling is in no backup, and what dead ones left goes") {
  auto* postgres = PostgresServer::shared();
  const auto redis = OwnRedis::start({"--enable-debug-command", "yes"});
  if (postgres == nullptr || !redis) return;
  Shop shop{*postgres, "CREATE TABLE t AS SELECT generate_series(1,10) a"};
  Backups backups;
  fill(*redis);
  const auto before = digest(*redis);
  backup::Subject subject{"test", shop.target(), {}};
  subject.redis = redis->target();
  const auto take = [&] { return backup::take(backups.catalogue, subject, {}, backups.keys, backups.clock, backups.reporter, a_minute()).manifest; };
  const std::map<std::string, std::uint64_t> all{{"0", 17}, {"3", 1}};
  const auto first = take();
  CHECK(first.find("redis")->counts == all);
  backup::RestoreRequest request;
  request.backup = first.label;
  request.safety_backup = false;
  const auto restore = [&] { return backup::restore(backups.catalogue, subject, request, {}, {}, backups.keys, backups.clock, backups.reporter, a_minute()); };
  restore();
  // Two databases are put aside now; and one that died after it had laid out, between the marks and the swap.
  {
    const auto limits = a_minute();
    backup::RedisRestore laid{redis->target(), *first.find("redis"), limits};
    backup::PartReader reader{backups.store, "shop/test/" + first.label, *first.find("redis"), backups.keys, limits};
    backup::Progress progress{backups.reporter, backups.clock, "restore", 0};
    laid.load(reader, progress, limits);
    CHECK(in_database(*redis, 13, {"EXISTS", "codops:restore:filling"}).text == "1");
    const auto meanwhile = take();
    CHECK(meanwhile.find("redis")->counts == all);
    CHECK(in_database(*redis, 13, {"EXISTS", "codops:restore:filling"}).text == "1");  // of a living one
    laid.swap("20261123_101500_250", limits);
    CHECK(in_database(*redis, 0, {"EXISTS", "codops:restore:filling"}).text == "0");
    laid.swap_back(limits);
  }
  for (const auto* left : {"13", "12"}) redis->ask({{"SELECT", left}, {"FLUSHDB"}});
  redis->ask({{"SELECT", "11"}, {"SET", "half", "of it"}, {"SET", "codops:restore:filling", "1 1 " + store::this_process().boot_id + " " + store::this_process().pid_namespace}});
  const auto second = take();
  CHECK(second.find("redis")->counts == all);
  CHECK(in_database(*redis, 11, {"DBSIZE"}).text == "0");
  // What was left out left no gap: it restores, to the last value.
  backup::Progress progress{backups.reporter, backups.clock, "verify", 0};
  CHECK(backup::verify(backups.catalogue, backups.catalogue.find(second.label, Limits{}), backups.keys, backups.clock.now(), progress, a_minute()).whole);
  redis->ask({{"FLUSHALL"}, {"FUNCTION", "FLUSH"}});
  request.backup = second.label;
  restore();
  CHECK(redis->ask({{"FCALL", "f", "0"}}).text == "7");
  for (const auto* spare : {"15", "14", "13", "12"}) redis->ask({{"SELECT", spare}, {"FLUSHDB"}});
  CHECK(digest(*redis) == before);
}

TEST_CASE("Redis: what it can't take is known before anything is filled, and a failure leaves it as it was") {
  auto* postgres = PostgresServer::shared();
  const auto redis = OwnRedis::start({"--enable-debug-command", "yes", "--databases", "2"});
  if (postgres == nullptr || !redis) return;
  Shop shop{*postgres, "CREATE TABLE t AS SELECT generate_series(1,10) a"};
  Backups backups;
  redis->ask({{"SET", "a", "1"}});
  backup::Subject subject{"test", shop.target(), {}};
  subject.redis = redis->target();
  const auto label = backup::take(backups.catalogue, subject, {}, backups.keys, backups.clock, backups.reporter, a_minute()).manifest.label;
  backup::RestoreRequest request;
  request.backup = label;
  request.safety_backup = false;
  const auto code = [&](const backup::RestoreHooks& hooks) {
    try {
      backup::restore(backups.catalogue, subject, request, {}, hooks, backups.keys, backups.clock, backups.reporter, a_minute());
    } catch (const Failure& failure) {
      MESSAGE(failure.message());
      return failure.code();
    }
    return Exit::ok;
  };
  const auto databases = [&] { return answer(shop.target("postgres"), "SELECT string_agg(datname, ',' ORDER BY datname) FROM pg_database WHERE datname LIKE '" + shop.name + "%'"); };
  redis->ask({{"SELECT", "1"}, {"SET", "b", "1"}});
  CHECK(code({}) == Exit::data);  // no empty database is left
  redis->ask({{"SELECT", "1"}, {"FLUSHDB"}});
  redis->ask({{"CONFIG", "SET", "maxmemory", "1100000"}});
  CHECK(code({}) == Exit::data);
  redis->ask({{"CONFIG", "SET", "maxmemory", "0"}});
  // The very last moment: Redis dies between the database's swap and its own.
  const auto before = digest(*redis);
  CHECK(code({{}, {}, [&](const io::postgres::Target&, const Limits&) -> std::string {
                redis->ask({{"ACL", "SETUSER", "default", "-swapdb"}});
                return {};
              }, {}}) != Exit::ok);
  CHECK(databases() == shop.name);
  CHECK(answer(shop.target(), "SELECT count(*)::text FROM t") == "10");
  CHECK(digest(*redis) == before);
}

TEST_CASE("Redis: a snapshot that is cut off, and a wrong password, fail the backup") {
  auto* postgres = PostgresServer::shared();
  const auto redis = OwnRedis::start();
  if (postgres == nullptr || !redis) return;
  Shop shop{*postgres, "CREATE TABLE t AS SELECT generate_series(1,10) a"};
  Backups backups;
  backup::Subject subject{"test", shop.target(), {}};
  const auto code = [&] {
    try {
      backup::take(backups.catalogue, subject, {}, backups.keys, backups.clock, backups.reporter, a_minute());
    } catch (const Failure& failure) {
      CHECK(failure.message().find("c4nary") == std::string::npos);
      return failure.code();
    }
    return Exit::ok;
  };
  subject.redis = redis->target();
  subject.redis->password = Secret{"c4naries"};
  CHECK(code() == Exit::config);
  const ScriptedServer cut{[](Peer& peer) {
    for (auto request = peer.read_some(); !request.empty(); request = peer.read_some()) {
      if (request.find("SYNC\r\n") == std::string::npos) {
        peer.send("-ERR unknown\r\n");
        continue;
      }
      peer.send("\n\n$1000\r\nREDIS0009");
      return;
    }
  }};
  subject.redis = io::parse_redis_url("redis://127.0.0.1:" + std::to_string(cut.port()));
  CHECK(code() == Exit::unavailable);
  CHECK(backups.labels().empty());
  CHECK(backups.strays().empty());
}