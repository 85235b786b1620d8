#pragma once
// The same call for many objects, over a few connections at once.
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <functional>
#include <thread>
#include <vector>

namespace codops::engine::kubernetes {

// More gain nothing beside the server, whose own work is what takes the time; some hide the way to one that is far.
inline constexpr std::size_t most_connections = 4;

// Calls `each` with 0 to count-1, in about that order, and returns when all have returned. `each` must not throw.
inline void in_parallel(std::size_t count, const std::function<void(std::size_t)>& each) {
  if (count <= 1) {
    if (count == 1) each(0);
    return;
  }
  std::atomic<std::size_t> next{0};
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < std::min(most_connections, count); ++i) {
    threads.emplace_back([&] {
      for (auto index = next++; index < count; index = next++) each(index);
    });
  }
}

}  // namespace codops::engine::kubernetes
