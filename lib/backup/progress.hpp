#pragma once
// What a running backup or restore says about itself: bytes, rate, the table at hand. Shared by its workers.
#include <atomic>
#include <mutex>
#include <string>

#include "lib/base/clock.hpp"
#include "lib/base/reporter.hpp"

namespace codops::backup {

class Progress {
 public:
  // `expected`: bytes in all, as the last backup had them; 0: unknown.
  Progress(Reporter& reporter, const Clock& clock, std::string step, std::uint64_t expected)
      : reporter_{reporter}, clock_{clock}, step_{std::move(step)}, expected_{expected}, started_{clock.steady()}, measured_from_{started_} {}

  void at(std::string_view what);       // "public.orders"
  // What comes now goes at a rate of its own, measured from here. Without `estimates` that rate says nothing about the rest, and no
  // time is told: Redis makes its dump before it sends any of it.
  void measure(bool estimates);
  void advance(std::uint64_t bytes);    // reports at most five times a second
  std::uint64_t bytes() const { return bytes_.load(); }

 private:
  void report();

  Reporter& reporter_;
  const Clock& clock_;
  std::string step_;
  std::uint64_t expected_;
  std::chrono::steady_clock::time_point started_;
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<std::int64_t> next_report_{0};  // milliseconds since the start
  std::mutex mutex_;
  std::string what_;
  std::chrono::steady_clock::time_point measured_from_;
  std::uint64_t measured_before_{};
  bool estimates_{true};
};

}  // namespace codops::backup
