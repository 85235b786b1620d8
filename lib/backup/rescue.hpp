#pragma once
// What must be put right on the server after a failure, though the failure may be that the server is just restarting.
#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "lib/base/reporter.hpp"
#include "lib/io/postgres.hpp"

namespace codops::backup {

inline constexpr Milliseconds rescue_patience{30'000};

class Rescue {
 public:
  using Work = std::function<void(io::postgres::Connection&, const Limits&)>;
  // `left`, which outlives it: told what could not be done.
  Rescue(io::postgres::Target server, Reporter& reporter, Milliseconds patience = rescue_patience, std::string* left = nullptr)
      : server_{std::move(server)}, reporter_{reporter}, patience_{patience}, left_{left} {}

  // Does it on a connection of its own, as soon as the server takes one: all calls together wait for `patience`, a later one 5 s at least. False: it could
  // not be done; then `state` and why and what to type has been told.
  bool attempt(const std::string& state, const std::string& type, const Work& work) noexcept;

 private:
  io::postgres::Target server_;
  Reporter& reporter_;
  Milliseconds patience_;
  std::string* left_;
  std::optional<std::chrono::steady_clock::time_point> until_;
};

// The same for who tells it himself: why it could not be done, or nothing.
std::optional<std::string> put_right(const io::postgres::Target& server, const Limits& limits, const Rescue::Work& work);

}  // namespace codops::backup
