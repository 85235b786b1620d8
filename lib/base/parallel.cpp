#include "lib/base/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace codops {

void in_parallel(std::size_t count, std::size_t at_most, const std::function<void(std::size_t)>& piece) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failed;
  const auto work = [&] {
    for (auto index = next++; index < count; index = next++) {
      try {
        piece(index);
      } catch (...) {
        next = count;
        const std::lock_guard guard{mutex};
        if (!failed) failed = std::current_exception();
      }
    }
  };
  std::vector<std::thread> threads;
  for (std::size_t others = std::min(count, at_most); others > 1; --others) threads.emplace_back(work);
  work();
  for (auto& thread : threads) thread.join();
  if (failed) std::rethrow_exception(failed);
}

void in_parallel(std::initializer_list<std::function<void()>> pieces) {
  in_parallel(pieces.size(), pieces.size(), [&](std::size_t index) { pieces.begin()[index](); });
}

}  // namespace codops
