#pragma once
// Where the time of a deploy went: what the application and the engine took, what was waited for on purpose, and the rest, which is codops' own.
#include <string>

#include "lib/ops/transaction.hpp"

namespace codops::ops {

struct TimeAccount {
  Milliseconds total{};       // of the command, from its first look to the end of its hooks
  Milliseconds waited{};      // for the lock, for images, for an answer
  Milliseconds engine{};      // its create, start, join, stop and remove calls
  Milliseconds boot{};        // the new set's, until it was ready
  Milliseconds companions{};  // backup, migrations
  Milliseconds hooks{};       // before and after
  Milliseconds drain{}, monitor{};
  Milliseconds own{};         // observation, plan, preflight, switches of the proxy and their proof, journal, record
};

TimeAccount time_account(const RunResult& run);
// "12.4 s: boot 6.1 s, engine 2.9 s, drain 0.7 s, monitor 1.2 s, codops 0.9 s"; what took no time is left out.
std::string to_text(const TimeAccount& account);

}  // namespace codops::ops
