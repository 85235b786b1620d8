#include <fmt/format.h>

#include <map>
#include <mutex>

#include "cli/render/display.hpp"

namespace codops::cli::render {
namespace {

constexpr Milliseconds progress_pause{5000};

class Plain final : public Display {
 public:
  Plain(Stream& stream, const Clock& clock, const Look& look, int verbosity)
      : stream_{stream}, clock_{clock}, look_{look}, verbosity_{verbosity} {}

  void report(const Event& event) override {
    const std::lock_guard lock{mutex_};
    if (!is_worth_a_line(event)) return;
    // Seconds are enough for a person; a machine takes --progress json.
    const auto stamp = to_rfc3339(clock_.now()).substr(0, 19) + "Z";
    std::string text;
    for (const auto& line : event_lines(event, look_)) text += fmt::format("{}{}\n", stamp, line);
    stream_.write(text);
  }

 private:
  bool is_worth_a_line(const Event& event) {
    if (event.kind != Event::Kind::progress && event.kind != Event::Kind::started) {
      last_.erase(event.step);
      return true;
    }
    const auto now = clock_.steady();
    const auto last = last_.find(event.step);
    if (event.kind == Event::Kind::progress && verbosity_ == 0 && last != last_.end() &&
        (last->second.text == event.text || now - last->second.time < progress_pause)) {
      return false;
    }
    last_[event.step] = {event.text, now};
    return true;
  }

  struct Last {
    std::string text;
    std::chrono::steady_clock::time_point time;
  };

  Stream& stream_;
  const Clock& clock_;
  Look look_;
  int verbosity_;
  std::mutex mutex_;
  std::map<std::string, Last> last_;
};

class Silent final : public Display {
 public:
  void report(const Event&) override {}
};

}  // namespace

std::unique_ptr<Display> make_plain(Stream& stream, const Clock& clock, bool color, bool unicode, int verbosity) {
  return std::make_unique<Plain>(stream, clock, Look{100, color, unicode}, verbosity);
}

std::unique_ptr<Display> make_silent() { return std::make_unique<Silent>(); }

}  // namespace codops::cli::render
