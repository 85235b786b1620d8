#include "lib/base/parallel.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <mutex>
#include <set>
#include <stdexcept>

using namespace codops;

TEST_CASE("in parallel: every piece runs once, whatever the number of threads") {
  for (const std::size_t threads : {1U, 2U, 8U, 50U}) {
    std::mutex mutex;
    std::multiset<std::size_t> seen;
    in_parallel(20, threads, [&](std::size_t index) {
      const std::lock_guard guard{mutex};
      seen.insert(index);
    });
    CHECK(seen.size() == 20);
    CHECK(std::set<std::size_t>(seen.begin(), seen.end()).size() == 20);
  }
  in_parallel(0, 8, [](std::size_t) { FAIL("there is nothing to do"); });
}

TEST_CASE("in parallel: a failure is thrown once all have ended, and nothing new is begun after it") {
  std::atomic<int> begun{0};
  CHECK_THROWS_AS(in_parallel(1000, 1,
                              [&](std::size_t index) {
                                ++begun;
                                if (index == 3) throw std::runtime_error{"no"};
                              }),
                  std::runtime_error);
  CHECK(begun == 4);
  std::atomic<int> ended{0};
  CHECK_THROWS_AS(in_parallel({[&] { ++ended; }, [] { throw std::runtime_error{"no"}; }, [&] { ++ended; }}), std::runtime_error);
  CHECK(ended <= 2);
}
