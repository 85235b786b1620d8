#include "lib/base/retry.hpp"

#include <algorithm>
#include <random>

namespace codops {

Backoff::Backoff(Milliseconds first, Milliseconds longest, std::uint64_t seed)
    : pause_{first}, longest_{longest}, random_{seed} {}

Milliseconds Backoff::next() {
  // Most are made and never needed: in a virtual machine asking for chance takes longer than much of a request.
  if (random_ == 0) random_ = std::random_device{}() | 1U;
  // xorshift64: spreads contenders, needs no quality.
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  const auto half = std::max<std::int64_t>(1, pause_.count() / 2);
  const Milliseconds jittered{half + static_cast<std::int64_t>(random_ % static_cast<std::uint64_t>(half))};
  pause_ = std::min(pause_ * 2, longest_);
  return jittered;
}

bool Backoff::wait(const Limits& limits) {
  const auto pause = Deadline::after(next());
  if (limits.deadline.time() <= pause.time()) return false;
  Limits{pause, limits.cancel}.wait(-1, 0);
  return true;
}

}  // namespace codops
