// Where a connection would go, before it does.
#include <doctest/doctest.h>

#include "lib/io/postgres.hpp"
#include "lib/io/postgres_hosts.hpp"
#include "lib/io/postgres_refusal.hpp"

using namespace codops;
using namespace codops::io::postgres;

TEST_CASE("hosts, addresses and ports belong to each other by their order") {
  const auto hosts = hosts_of({{"host", "a,/run/pg,c"}, {"hostaddr", ",,10.0.0.3"}, {"port", "1,,3"}});
  REQUIRE(hosts);
  REQUIRE(hosts->size() == 3);
  CHECK((*hosts)[0].name == "a");
  CHECK_FALSE((*hosts)[0].is_folder());
  CHECK((*hosts)[1].is_folder());
  CHECK((*hosts)[1].port == "5432");
  CHECK((*hosts)[2].address == "10.0.0.3");
  Parameters back;
  put_hosts(*hosts, back);
  CHECK(back == Parameters{{"host", "a,/run/pg,c"}, {"hostaddr", ",,10.0.0.3"}, {"port", "1,5432,3"}});
  CHECK(hosts_of({{"host", "a,b"}, {"port", "7"}})->at(1).port == "7");
  CHECK(hosts_of({})->at(0).is_folder());
  CHECK_FALSE(hosts_of({{"host", "a,b"}, {"hostaddr", "10.0.0.1"}}));
  CHECK_FALSE(hosts_of({{"host", "a,b"}, {"port", "1,2,3"}}));
}

TEST_CASE("several hosts are shown each with its port") {
  CHECK(parse_target("postgresql://u@a:1,b:2/d").describe() == "\"d\" on a:1,b:2");
  CHECK(parse_target("postgresql://u@a,b/d").describe() == "\"d\" on a:5432,b:5432");
}

TEST_CASE("a service, a local socket and an IPv6 address are shown as what they are") {
  CHECK(parse_target("service=main").describe() == "the service \"main\"");
  CHECK(parse_target("postgresql://u@/shop?service=main").describe() == "\"shop\" on the service \"main\"");
  CHECK(parse_target("postgresql:///shop").describe() == "\"shop\" on the local socket");
  CHECK(parse_target("postgresql://").describe() == "the local socket");
  CHECK(parse_target("postgresql://u@[::1]:5433/shop").describe() == "\"shop\" on [::1]:5433");
  CHECK(parse_target("postgresql://u@[fe80::1%25eth0]:5433/shop").host == "fe80::1%eth0");
  CHECK(parse_target("hostaddr=10.0.0.1 dbname=shop").describe() == "\"shop\" on 10.0.0.1");
}

TEST_CASE("a port is 1 to 65535") {
  CHECK(port_number("65535") == 65535);
  for (const auto* text : {"", "0", "65536", "99999", "-1", "5432x", "x"}) CHECK_FALSE(port_number(text));
  for (const auto* port : {"99999", "abc", "5432x", "-1", "0"}) CHECK_THROWS_AS(parse_target(std::string{"postgresql://u:p@h:"} + port + "/d"), Failure);
}

TEST_CASE("sslcert beside what only libpq's URLs have is the client's own") {
  const auto target = parse_target("postgresql://u@h/d?sslmode=verify-full&sslrootcert=/ca.pem&sslcert=/c.pem&sslkey=/c.key");
  CHECK(target.options == std::map<std::string, std::string>{{"sslmode", "verify-full"}, {"sslrootcert", "/ca.pem"}, {"sslcert", "/c.pem"}, {"sslkey", "/c.key"}});
  CHECK(parse_target("postgresql://u@h/d?sslcert=/c.pem&sslkey=/c.key").options.contains("sslcert"));
}

TEST_CASE("a server without a free connection is not a wrong password") {
  for (const auto* said : {"FATAL: sorry, too many clients already", "FATAL: remaining connection slots are reserved for non-replication superuser connections"}) {
    CAPTURE(said);
    const auto refusal = refusal_of(nullptr, said, {}, codops::io::Stage::request);
    CHECK(refusal.trouble == codops::io::Trouble::failed);
    CHECK(refusal.hint == "look for idle ones in pg_stat_activity, or raise max_connections");
  }
}

TEST_CASE("numbers that libpq reads only later are read before anybody is asked") {
  CHECK(effective({{"host", "h"}, {"connect_timeout", "abc"}}).mistake == "invalid integer value \"abc\" for connection option \"connect_timeout\"");
  for (const auto* value : {"10s", "1.5", "", " ", "9999999999", "-"}) {
    CAPTURE(value);
    CHECK(effective({{"host", "h"}, {"tcp_user_timeout", value}}).mistake.empty() == (*value == '\0'));
  }
  for (const auto* value : {"5", " +5 ", "-1", "0"}) CHECK(effective({{"host", "h"}, {"connect_timeout", value}}).mistake.empty());
}
