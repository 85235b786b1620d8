// By a role that is no superuser.
#include "tests/support/restore_fixture.hpp"

using namespace codops;
using namespace codops::tests;

TEST_CASE("restore by an owner: a superuser's session that it may not end fails it, and the live database stays writable") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, "CREATE TABLE t AS SELECT generate_series(1, 1000) i"};
  Owner owner{shop};
  Restoring it{shop};
  backup::RestoreRequest request;
  request.backup = it.take(shop.target()).manifest.label;
  request.safety_backup = false;
  request.load.no_owner = true;
  const auto restore = [&] { return backup::restore(it.catalogue, {"test", owner.target, {}}, request, {}, {}, it.keys, it.clock, it.reporter, a_minute()); };
  for (const bool read_only : {true, false}) {
    CAPTURE(read_only);
    request.read_only = read_only;
    {
      auto superuser = io::postgres::Connection::open(shop.target(), a_minute());
      CHECK(failure_of(restore).find("session " + std::to_string(superuser.backend_pid()) + " of postgres") != std::string::npos);
      CHECK(superuser.usable());
      superuser.run("INSERT INTO t VALUES (0)", a_minute());
    }
    CHECK(it.databases() == shop.name);
    CHECK(answer(shop.target(), "SHOW default_transaction_read_only") == "off");
    CHECK(answer(owner.target, "SHOW default_transaction_read_only") == "off");
  }
  // Alone, it does; and what it restores belongs to it, whoever owned what was backed up.
  request.read_only = true;
  const auto restored = restore();
  CHECK(answer(shop.target(), "SELECT count(*)::text FROM t") == "1000");
  CHECK(answer(shop.target(), "SELECT tableowner FROM pg_tables WHERE tablename = 't'") == owner.name);
  CHECK(answer(shop.target(), "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()") == owner.name);
}

TEST_CASE("restore --no-owner: of a backup whose database belonged to somebody else, and of plain SQL") {
  auto* server = PostgresServer::shared();
  if (server == nullptr) return;
  Shop shop{*server, "CREATE TABLE t AS SELECT generate_series(1, 1000) i"};
  Restoring it{shop};
  Files files{shop, *server};
  auto request = files.request(files.dump({}));
  const auto own = files.dump({"--use-set-session-authorization"});
  const auto label = it.take(shop.target()).manifest.label;  // of postgres
  Owner owner{shop};
  request.load.no_owner = true;
  const auto restore = [&] { return backup::restore(it.catalogue, {"test", owner.target, {}}, request, {}, {}, it.keys, it.clock, it.reporter, a_minute()); };
  const auto theirs = [&] {
    restore();
    CHECK(answer(shop.target(), "SELECT (SELECT tableowner FROM pg_tables WHERE tablename = 't') || (SELECT count(*) FROM t)") == owner.name + "1000");
  };
  theirs();
  request = files.request(own);
  request.load.no_owner = true;
  theirs();
  request.file.clear();
  request.backup = label;
  theirs();
}
