#pragma once
// What every store must do; run it on an empty one.
#include <doctest/doctest.h>

#include "lib/base/failure.hpp"
#include "lib/io/crypto.hpp"
#include "lib/store/store.hpp"

namespace codops::tests {

inline std::vector<std::string> names_in(store::Store& store, const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& object : store.list(folder, Limits{})) names.push_back(object.name);
  return names;
}

inline void check_store(store::Store& store, std::size_t large = 20'000'000) {
  const Limits limits;
  using Names = std::vector<std::string>;
  CHECK(names_in(store, "").empty());
  CHECK_FALSE(store.find("a/b", limits));
  CHECK_FALSE(store.get("a/b", limits));
  CHECK_THROWS_AS(io::read_all(*store.open("a/b", limits), 100), Failure);

  store.put("a/b", "hello", limits);
  CHECK(store.get("a/b", limits) == "hello");
  REQUIRE(store.find("a/b", limits));
  CHECK(store.find("a/b", limits)->size == 5);
  store.put("a/b", "other", limits);
  CHECK(store.get("a/b", limits) == "other");
  store.put("a/empty", "", limits);
  CHECK(store.get("a/empty", limits) == "");
  CHECK_THROWS_AS(store.get("a/b", limits, 3), Failure);

  CHECK(store.put_new("a/once", "first", limits));
  CHECK_FALSE(store.put_new("a/once", "second", limits));
  CHECK(store.get("a/once", limits) == "first");
  store.remove("a/once", limits);
  {
    const auto upload = store.create("a/never", limits);
    upload->write("half of it");
    CHECK_FALSE(store.find("a/never", limits));
    CHECK(names_in(store, "a") == Names{"a/b", "a/empty"});
  }
  CHECK_FALSE(store.find("a/never", limits));
  store.sweep("a", limits);
  CHECK(names_in(store, "a") == Names{"a/b", "a/empty"});

  const auto bytes = io::random_bytes(large);
  {
    const auto upload = store.create("a/large", limits);
    for (std::size_t at = 0; at < bytes.size(); at += 1'000'003) {
      upload->write(std::string_view{bytes}.substr(at, 1'000'003));
    }
    upload->finish();
    CHECK(upload->size() == large);
    upload->commit();
  }
  CHECK(store.find("a/large", limits)->size == large);
  CHECK(io::sha256_hex(io::read_all(*store.open("a/large", limits), large)) == io::sha256_hex(bytes));

  store.put("ab/c+d=e", "x", limits);
  CHECK(names_in(store, "a") == Names{"a/b", "a/empty", "a/large"});
  CHECK(names_in(store, "") == Names{"a/b", "a/empty", "a/large", "ab/c+d=e"});
  store.remove("a/large", limits);
  store.remove("a/large", limits);
  CHECK(names_in(store, "a") == Names{"a/b", "a/empty"});

  for (const char* bad : {"", "/a", "a/", "a//b", "../a", "a/../b", ".a", "a b", "a/.b", "a\nb"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(store.put(bad, "x", limits), Failure);
  }

  {
    const auto held = store.try_lock("locks/one", limits);
    CHECK(held);
    CHECK_FALSE(store.try_lock("locks/one", limits));
    CHECK(store.try_lock("locks/two", limits));
  }
  CHECK(store.try_lock("locks/one", limits));

  CancelSource source;
  const Limits cancelled{Deadline::never(), source.token()};
  const auto upload = store.create("a/cancelled", cancelled);
  source.cancel(Exit::interrupted);
  CHECK_THROWS_AS(
      [&] {
        for (int i = 0; i < 40; ++i) upload->write(std::string(1U << 20U, 'x'));
        upload->finish();
        upload->commit();
      }(),
      Failure);
}

}  // namespace codops::tests
