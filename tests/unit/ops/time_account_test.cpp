#include "lib/ops/time_account.hpp"

#include <doctest/doctest.h>

using namespace codops;

TEST_CASE("time account: the engine's calls are taken out of the boot, and what is left is codops' own") {
  ops::RunResult run;
  run.elapsed = Milliseconds{10'000};
  run.engine_time = {{"create", Milliseconds{300}}, {"start", Milliseconds{700}}, {"stop", Milliseconds{500}}};
  run.outcome.timings = {{"hook", Milliseconds{50}}, {"migrate", Milliseconds{400}}, {"start", Milliseconds{5'000}}, {"switch", Milliseconds{250}},
                         {"monitor", Milliseconds{2'000}}, {"drain", Milliseconds{1'000}}, {"stop", Milliseconds{600}}};
  run.after_hooks = Milliseconds{150};
  const auto account = ops::time_account(run);
  CHECK(account.engine == Milliseconds{1'500});
  CHECK(account.boot == Milliseconds{4'000});
  CHECK(account.companions == Milliseconds{400});
  CHECK(account.own == Milliseconds{900});
  CHECK(ops::to_text(account) == "10.0 s: boot 4.0 s, engine 1.5 s, backup and migrations 0.4 s, hooks 0.2 s, drain 1.0 s, monitor 2.0 s, codops 0.9 s");
}

TEST_CASE("time account: a rollback to a kept set that starts at once has no boot to speak of") {
  ops::RunResult run;
  run.elapsed = Milliseconds{900};
  run.engine_time = {{"start", Milliseconds{600}}};
  run.outcome.timings = {{"start", Milliseconds{500}}};
  CHECK(ops::time_account(run).boot == Milliseconds{0});
  CHECK(ops::time_account(run).own == Milliseconds{300});
}
