#include "lib/backup/progress.hpp"

#include <doctest/doctest.h>

#include "tests/support/fakes.hpp"

using namespace codops;

TEST_CASE("progress: the time that is left is told from what is at hand, and not while Redis makes its dump") {
  tests::ManualClock clock;
  tests::RecordingReporter reporter;
  constexpr std::uint64_t megabyte = 1'000'000;
  backup::Progress progress{reporter, clock, "backup", 101 * megabyte};
  const auto said = [&](Milliseconds after, std::uint64_t bytes) {
    clock.advance(after);
    progress.advance(bytes);
    REQUIRE_FALSE(reporter.events.empty());
    return reporter.events.back().text;
  };
  progress.measure(false);
  progress.at("Redis");
  // A megabyte in ten seconds: the rest would take 17 minutes.
  CHECK(said(Milliseconds{10'000}, megabyte).find("left") == std::string::npos);
  progress.measure(true);
  progress.at("public.orders");
  CHECK(said(Milliseconds{300}, 3 * megabyte).find("left") == std::string::npos);
  const auto text = said(Milliseconds{1'700}, 17 * megabyte);
  CHECK(text.find(" 10 MB/s") != std::string::npos);
  CHECK(text.find("about 8.0 s left") != std::string::npos);
  CHECK(reporter.events.back().current == 21 * megabyte);
  CHECK(said(Milliseconds{8'000}, 80 * megabyte).find("left") == std::string::npos);
}
