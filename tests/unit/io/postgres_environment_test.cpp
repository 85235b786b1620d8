// Which of the caller's PG… variables reach a connection.
#include <doctest/doctest.h>

#include "lib/io/postgres_environment.hpp"

using namespace codops::io::postgres;

TEST_CASE("a target that names its host is led nowhere by the environment") {
  for (const auto* url : {"postgresql://me:p@localhost/d", "postgresql://me:p@db.example.com/d", "hostaddr=10.0.0.1 user=me password=p dbname=d", "service=x user=me password=p"}) {
    CAPTURE(url);
    const auto target = parse_target(url);
    for (const auto* keyword : {"host", "hostaddr", "port", "dbname", "user", "password", "passfile", "service", "options", "target_session_attrs", "gssencmode", "connect_timeout"}) {
      CAPTURE(keyword);
      CHECK_FALSE(counts_for(target, keyword));
    }
  }
}

TEST_CASE("what it does not say itself: who asks, and how another machine is checked") {
  const auto bare = parse_target("postgresql://db.example.com/d");
  CHECK(counts_for(bare, "user"));
  CHECK(counts_for(bare, "password"));
  CHECK(counts_for(bare, "sslmode"));
  CHECK(counts_for(bare, "sslrootcert"));
  CHECK(counts_for(bare, "channel_binding"));
  CHECK_FALSE(counts_for(parse_target("postgresql://localhost/d"), "channel_binding"));
  CHECK_FALSE(counts_for(parse_target("postgresql://127.0.0.1/d"), "sslmode"));
  CHECK_FALSE(counts_for(parse_target("postgresql://localhost/d"), "sslmode"));
}

TEST_CASE("without a host the environment counts") {
  for (const auto* keyword : {"host", "hostaddr", "service", "sslmode", "options"}) CHECK(counts_for(parse_target("postgresql:///d"), keyword));
}
