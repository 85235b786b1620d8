#pragma once
// Who shows what a run reports: live lines, plain lines, JSON lines, or nothing.
#include <memory>

#include "cli/render/lines.hpp"
#include "cli/terminal.hpp"
#include "lib/base/clock.hpp"
#include "lib/base/reporter.hpp"

namespace codops::cli::render {

class Display : public Reporter {
 public:
  // Takes live lines off the terminal so that something else can be written, and puts them back.
  virtual void hide() {}
  virtual void show() {}
};

// Live lines, redrawn in place by a thread of its own while a step is in flight; finished steps stay.
std::unique_ptr<Display> make_tty(Stream& stream, const Clock& clock, bool color, bool unicode);
// Every line once, with a time stamp; of a step's progress one line each few seconds.
std::unique_ptr<Display> make_plain(Stream& stream, const Clock& clock, bool color, bool unicode, int verbosity);
// One JSON object a line.
std::unique_ptr<Display> make_json(Stream& stream, const Clock& clock);
std::unique_ptr<Display> make_silent();

// The object of make_json, without a newline.
std::string event_json(const Event& event, WallTime time);

}  // namespace codops::cli::render
