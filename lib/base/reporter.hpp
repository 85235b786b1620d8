#pragma once
// What a run tells whoever watches it. Libraries emit events; renderers in cli/ (tty, plain, json) show them.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/clock.hpp"

namespace codops {

struct Event {
  enum class Kind {
    started,   // a step began
    progress,  // a step in flight changed: `text` replaces its line
    done,      // a step ended well
    skipped,   // a step had nothing to do; `text` says why
    failed,    // a step ended badly; `details` are the evidence's last lines
    undone,    // a step was undone
    note,      // not about a step: something a reader should know
    warning,   // not about a step: something a reader should act on
  };
  Kind kind{Kind::note};
  std::string step;                  // "start": the step's short name; empty for note and warning
  std::string text;                  // "backend 2/3 healthy · 1 starting"
  std::vector<std::string> details;  // shown indented under the line
  std::optional<Milliseconds> elapsed;
  std::optional<std::uint64_t> current, total;  // of bytes or items, for a bar
};

class Reporter {
 public:
  virtual ~Reporter() = default;
  virtual void report(const Event& event) = 0;

  void note(std::string text) { report({Event::Kind::note, {}, std::move(text), {}, {}, {}, {}}); }
  void warn(std::string text) { report({Event::Kind::warning, {}, std::move(text), {}, {}, {}, {}}); }
};

class SilentReporter final : public Reporter {
 public:
  void report(const Event&) override {}
};

}  // namespace codops
