#include <doctest/doctest.h>

#include "lib/base/failure.hpp"
#include "lib/io/redis_probe.hpp"

using namespace codops;
using io::parse_redis_url;

TEST_CASE("Redis URL: the database by path or by parameter, as redis-py and Celery write it") {
  struct Case {
    const char* url;
    int database;
    bool named;
  };
  for (const auto& [url, database, named] :
       {Case{"redis://h:6379", 0, false}, Case{"redis://h:6379/", 0, false}, Case{"redis://h/2", 2, true}, Case{"redis://h:6379?db=1", 1, true}, Case{"redis://h/?db=1", 1, true},
        Case{"rediss://:pw@h:6379/3?ssl_cert_reqs=none&db=4#x", 4, true}, Case{"redis://h/3?mydb=4", 3, true}, Case{"redis://h?db=", 0, false}, Case{"redis://h?client_name=x", 0, false},
        Case{"unix:///run/redis.sock?a=b&db=5&c=d", 5, true}, Case{"unix:///run/redis.sock?mydb=5", 0, false}}) {
    CAPTURE(url);
    const auto target = parse_redis_url(url);
    CHECK(target.database == database);
    CHECK(target.names_database == named);
  }
  CHECK_THROWS_AS(parse_redis_url("redis://h?db=one"), Failure);
}

TEST_CASE("Redis URL: of a password that is not escaped nothing is shown") {
  for (const auto* url : {"redis://:Can@ary?sslmode=x@127.0.0.1:6379", "redis://:Can@ary#x@127.0.0.1"}) {
    CAPTURE(url);
    try {
      parse_redis_url(url);
      FAIL("it was taken");
    } catch (const Failure& failure) {
      CHECK(failure.code() == Exit::config);
      CHECK(failure.message().find("ary") == std::string::npos);
    }
  }
}

TEST_CASE("Redis URL: an IPv6 address with its zone") {
  for (const auto* url : {"redis://[fe80::1%25eth0]:6380/1", "redis://:pw@[fe80::1%25eth0]:6380", "redis://[fe80::1%eth0]:6380"}) {
    CAPTURE(url);
    CHECK(parse_redis_url(url).tcp.host == "fe80::1%eth0");
    CHECK(parse_redis_url(url).tcp.port == 6380);
  }
  CHECK(parse_redis_url("redis://[fe80::1%25en0]").tcp.host == "fe80::1%en0");
}
