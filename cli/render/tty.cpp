#include <fmt/format.h>
#include <sys/ioctl.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "cli/render/display.hpp"

namespace codops::cli::render {
namespace {

constexpr std::chrono::milliseconds frame_time{100};

class Tty final : public Display {
 public:
  Tty(Stream& stream, const Clock& clock, bool color, bool unicode)
      : stream_{stream}, clock_{clock}, color_{color}, unicode_{unicode} {}

  ~Tty() override {
    {
      const std::lock_guard lock{mutex_};
      ended_ = true;
      draw();
    }
    changed_.notify_all();
    if (painter_.joinable()) painter_.join();
  }

  void report(const Event& event) override {
    const std::lock_guard lock{mutex_};
    if (event.kind == Event::Kind::started || event.kind == Event::Kind::progress) in_flight(event);
    else finished(event);
    // Progress may come a thousand times a second: the painter shows it with the next frame.
    if (event.kind == Event::Kind::progress) return;
    draw();
    if (!painter_.joinable() && !steps_.empty()) painter_ = std::thread{[this] { paint(); }};
    changed_.notify_all();
  }

  void hide() override {
    const std::lock_guard lock{mutex_};
    if (hidden_++ == 0 && drawn_ > 0) stream_.write(upward() + "\x1b[J");
  }

  void show() override {
    const std::lock_guard lock{mutex_};
    if (--hidden_ == 0) draw();
  }

 private:
  struct Step {
    Event event;
    std::chrono::steady_clock::time_point began;
  };

  void in_flight(const Event& event) {
    for (auto& step : steps_) {
      if (step.event.step != event.step) continue;
      auto details = std::move(step.event.details);
      step.event = event;
      if (event.details.empty()) step.event.details = std::move(details);
      return;
    }
    steps_.push_back({event, clock_.steady()});
  }

  void finished(const Event& event) {
    auto shown = event;
    if (!event.step.empty()) {
      const auto step = std::find_if(steps_.begin(), steps_.end(),
                                     [&](const Step& one) { return one.event.step == event.step; });
      if (step != steps_.end()) {
        if (!shown.elapsed) shown.elapsed = since(*step);
        steps_.erase(step);
      }
    }
    for (auto& line : event_lines(shown, look())) finished_ += line + "\x1b[K\n";
  }

  // The painter's loop: one frame each 100 ms while something is in flight, else it waits for an event.
  void paint() {
    std::unique_lock lock{mutex_};
    while (!ended_) {
      if (steps_.empty() || hidden_ > 0) {
        changed_.wait(lock);
      } else if (changed_.wait_for(lock, frame_time) == std::cv_status::timeout) {
        ++frame_;
        draw();
      }
    }
  }

  // One write a frame, lines overwritten rather than erased first: nothing flickers.
  void draw() {
    if (hidden_ > 0 || stream_.is_closed()) return;
    std::string frame = upward();
    frame += finished_;
    finished_.clear();
    const auto lines = ended_ ? std::vector<std::string>{} : live();
    for (const auto& line : lines) frame += line + "\x1b[K\n";
    drawn_ = lines.size();
    if (!frame.empty()) stream_.write(frame + "\x1b[J");
  }

  // To the first live line.
  std::string upward() { return drawn_ == 0 ? std::string{} : fmt::format("\x1b[{}A\r", std::exchange(drawn_, 0)); }

  std::vector<std::string> live() const {
    std::vector<std::string> lines;
    for (const auto& step : steps_) {
      for (auto& line : live_lines(step.event, since(step), frame_, look())) lines.push_back(std::move(line));
    }
    // What is higher than the terminal can't be erased again.
    const auto most = rows() > 2 ? rows() - 2 : 1;
    if (lines.size() > most) {
      const auto hidden_lines = lines.size() - most + 1;
      lines.resize(most - 1);
      lines.push_back(fmt::format("    and {} more", hidden_lines));
    }
    return lines;
  }

  Milliseconds since(const Step& step) const {
    return std::chrono::duration_cast<Milliseconds>(clock_.steady() - step.began);
  }

  // Asked each time: a terminal may be resized.
  Look look() const { return {terminal_width(stream_.fd()), color_, unicode_}; }

  std::size_t rows() const {
    winsize size{};
    return ::ioctl(stream_.fd(), TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : 24;
  }

  Stream& stream_;
  const Clock& clock_;
  bool color_, unicode_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::thread painter_;
  std::vector<Step> steps_;
  std::string finished_;
  std::size_t drawn_{};
  unsigned frame_{};
  int hidden_{};
  bool ended_{};
};

}  // namespace

std::unique_ptr<Display> make_tty(Stream& stream, const Clock& clock, bool color, bool unicode) {
  return std::make_unique<Tty>(stream, clock, color, unicode);
}

}  // namespace codops::cli::render
