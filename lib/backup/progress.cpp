#include "lib/backup/progress.hpp"

#include "lib/base/units.hpp"
#include "lib/text/printable.hpp"

namespace codops::backup {
namespace {
constexpr std::int64_t pause = 200;
constexpr std::int64_t least_measured = 1000;  // before that a rate is a guess
}

void Progress::at(std::string_view what) {
  const std::lock_guard lock{mutex_};
  what_ = text::printable(what, 200);  // a table's name is in its database's encoding
}

void Progress::measure(bool estimates) {
  const std::lock_guard lock{mutex_};
  measured_from_ = clock_.steady();
  measured_before_ = bytes_.load();
  estimates_ = estimates;
}

void Progress::advance(std::uint64_t bytes) {
  bytes_ += bytes;
  const auto now = std::chrono::duration_cast<Milliseconds>(clock_.steady() - started_).count();
  auto due = next_report_.load();
  if (now < due || !next_report_.compare_exchange_strong(due, now + pause)) return;
  report();
}

void Progress::report() {
  const std::lock_guard lock{mutex_};
  const auto done = bytes_.load();
  const auto now = clock_.steady();
  const auto elapsed = std::chrono::duration_cast<Milliseconds>(now - started_);
  const auto measured = std::chrono::duration_cast<Milliseconds>(now - measured_from_).count();
  const auto per_second = (done - measured_before_) * 1000 / static_cast<std::uint64_t>(std::max<std::int64_t>(1, measured));
  auto text = fmt::format("{} · {}/s", format_bytes(done), format_bytes(per_second));
  if (expected_ > done && per_second > 0 && estimates_ && measured >= least_measured) {
    text += fmt::format(" · about {} left", format_duration(Milliseconds{(expected_ - done) * 1000 / per_second}));
  }
  if (!what_.empty()) text += " · " + what_;
  Event event;
  event.kind = Event::Kind::progress;
  event.step = step_;
  event.text = std::move(text);
  event.elapsed = elapsed;
  event.current = done;
  if (expected_ > 0) event.total = std::max(expected_, done);
  reporter_.report(event);
}

}  // namespace codops::backup
