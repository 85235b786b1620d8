#pragma once
// The look of events, as pure text: every renderer shows these lines.
#include <string>
#include <vector>

#include "lib/base/reporter.hpp"

namespace codops::cli::render {

struct Look {
  std::size_t width{100};  // columns that a line may have
  bool color{};
  bool unicode{true};
};

// The lines of an event that stays: done, skipped, failed, undone, note, warning; and of started and progress where
// there are no live lines. Text is wrapped, details are cut.
std::vector<std::string> event_lines(const Event& event, const Look& look);

// One step in flight: exactly one line, cut to the width, `frame` chooses the spinner's picture; then its details.
std::vector<std::string> live_lines(const Event& event, Milliseconds elapsed, unsigned frame, const Look& look);

// "━━━━━━━━━━          50 %".
std::string bar(std::uint64_t current, std::uint64_t total, const Look& look);

}  // namespace codops::cli::render
