// Somebody who waits to alter a table, while workers read it on a snapshot whose session has its lock.
#include <thread>

#include "lib/backup/verify.hpp"
#include "tests/support/backup_fixture.hpp"
#include "tests/support/forwarding_store.hpp"

using namespace codops;
using namespace codops::tests;

namespace {

// Just before the first part of that name is written, somebody begins to wait for each of the tables.
class Altered final : public ForwardingStore {
 public:
  Altered(store::Store& real, const Shop& shop, std::string part, std::uint64_t readers) : ForwardingStore{real}, shop_{shop}, part_{std::move(part)}, readers_{readers} {}
  std::unique_ptr<store::Upload> create(const std::string& name, const Limits& limits, store::Retain retain) override {
    if (name.find(part_) != std::string::npos && !begun_.exchange(true)) alter();
    return real_.create(name, limits, retain);
  }
  // Once the backup is over they get what they waited for.
  void join() {
    for (auto& session : sessions_) session.join();
  }

 private:
  std::string count(const std::string& what) { return answer(shop_.target("postgres"), "SELECT count(*)::text FROM pg_locks l WHERE " + what + " AND l.database = (SELECT oid FROM pg_database WHERE datname = '" + shop_.name + "')"); }
  void alter() {
    const auto wait_for = [&](const std::string& what, std::uint64_t at_least) {
      const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{20};
      while (std::stoull(count(what)) < at_least && std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(Milliseconds{10});
    };
    const auto last = answer(shop_.target(), "SELECT 't3'::regclass::oid::text");
    // One that has come to its end meanwhile waits for nobody.
    wait_for("l.granted AND l.mode = 'AccessShareLock' AND l.relation = " + last, readers_);
    for (const auto* table : {"t1", "t2", "t3"}) {
      sessions_.emplace_back([this, table] { ask(shop_.target(), fmt::format("ALTER TABLE {} ADD COLUMN later int", table)); });
    }
    wait_for("NOT l.granted AND l.mode = 'AccessExclusiveLock'", 3);
  }
  const Shop& shop_;
  std::string part_;
  std::uint64_t readers_;
  std::atomic<bool> begun_{false};
  std::vector<std::jthread> sessions_;
};

constexpr const char* three_tables = "CREATE TABLE t1 AS SELECT i, md5(i::text) FROM generate_series(1, 20000) i; CREATE TABLE t2 AS TABLE t1; CREATE TABLE t3 AS TABLE t1; CREATE TABLE small AS SELECT 1 AS i";

}  // namespace

TEST_CASE("backup: who waits to alter large tables waits for two workers, and they not for him") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, three_tables};
  Backups backups;
  const auto simple = backups.take(shop.target()).manifest;
  backup::Options options;
  options.dump.jobs = 2;
  options.dump.large = 8U << 10U << 5U;
  SUBCASE("an archive") {}
  SUBCASE("and SQL") { options.dump.plain = true; }
  // The snapshot's session, and pg_dump.
  Altered store{backups.store, shop, "rows-", 2};
  backup::Catalogue catalogue{store, "shop/test"};
  const auto began = std::chrono::steady_clock::now();
  const auto taken = backup::take(catalogue, {"test", shop.target(), {}}, options, backups.keys, backups.clock, backups.reporter, a_minute()).manifest;
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds{50});
  store.join();
  CHECK(taken.tables == simple.tables);
  CHECK(std::count_if(taken.parts.begin(), taken.parts.end(), [](const auto& part) { return part.kind == "rows"; }) == 3);
  backup::Progress progress{backups.reporter, backups.clock, "verify", 0};
  CHECK(backup::verify(backups.catalogue, backups.catalogue.find(taken.label, a_minute()), backups.keys, backups.clock.now(), progress, a_minute()).whole);
  CHECK(answer(shop.target(), "SELECT count(later)::text FROM t3") == "0");
}

TEST_CASE("backup: who waits before pg_dump has its locks ends the backup after --lock-wait, and nothing of it stays") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, three_tables};
  Backups backups;
  backups.take(shop.target());
  backup::Options options;
  options.dump.jobs = 2;
  options.dump.large = 8U << 10U << 5U;
  options.dump.lock_wait = Milliseconds{700};
  Altered store{backups.store, shop, "database.dump", 1};
  backup::Catalogue catalogue{store, "shop/test"};
  const auto began = std::chrono::steady_clock::now();
  CHECK_THROWS_WITH_AS(backup::take(catalogue, {"test", shop.target(), {}}, options, backups.keys, backups.clock, backups.reporter, a_minute()), doctest::Contains("LOCK TABLE public.t1"), Failure);
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds{30});
  store.join();
  CHECK(backups.labels().size() == 1);
  CHECK(backups.strays().empty());
}
