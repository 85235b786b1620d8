#include "cli/render/lines.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "cli/render/columns.hpp"
#include "lib/base/units.hpp"

namespace codops::cli::render {
namespace {

constexpr std::size_t sign_column = 2;    // "  ✓ "
constexpr std::size_t step_column = 4;
constexpr std::size_t step_width = 12;    // "preflight   "
constexpr std::size_t longest_line = 86;  // where the times stand below each other on a wide terminal
constexpr std::size_t bar_width = 20;
constexpr std::size_t live_details = 5;

enum class Paint { none, good, bad, caution, faint };

std::string painted(std::string_view text, Paint paint, const Look& look) {
  if (!look.color || paint == Paint::none) return std::string{text};
  const auto code = paint == Paint::good ? "32" : paint == Paint::bad ? "31" : paint == Paint::caution ? "33" : "2";
  return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

struct Sign {
  std::string_view unicode, ascii;
  Paint paint;
};

Sign sign_of(Event::Kind kind) {
  switch (kind) {
    case Event::Kind::started: return {"…", ".", Paint::faint};
    case Event::Kind::progress: return {"…", ".", Paint::faint};
    case Event::Kind::done: return {"✓", "+", Paint::good};
    case Event::Kind::skipped: return {"–", "-", Paint::faint};
    case Event::Kind::failed: return {"✗", "x", Paint::bad};
    case Event::Kind::undone: return {"↶", "<", Paint::caution};
    case Event::Kind::note: return {"·", "*", Paint::faint};
    case Event::Kind::warning: return {"!", "!", Paint::caution};
  }
  return {"·", "*", Paint::faint};
}

std::string head(std::string_view sign, std::string_view step) {
  auto text = fmt::format("{}{} ", std::string(sign_column, ' '), sign);
  if (!step.empty()) text += columns(step) < step_width ? padded(step, step_width) : fmt::format("{}  ", step);
  return text;
}

std::string detail(std::string_view text, const Look& look) {
  const auto line = fmt::format("    {} {}", look.unicode ? "│" : "|", clean(text));
  return painted(fitted(line, look.width), Paint::faint, look);
}

// `text`, then `time` at the right edge.
std::string with_time(std::string text, const std::string& time, std::size_t width, const Look& look) {
  if (time.empty()) return text;
  const auto used = columns(text);
  const auto gap = used + columns(time) + 1 <= width ? width - used - columns(time) : 1;
  return text + std::string(gap, ' ') + painted(time, Paint::faint, look);
}

}  // namespace

std::string bar(std::uint64_t current, std::uint64_t total, const Look& look) {
  const double part = total == 0 ? 1.0 : std::min(1.0, static_cast<double>(current) / static_cast<double>(total));
  const auto full = static_cast<std::size_t>(part * static_cast<double>(bar_width));
  std::string cells;
  for (std::size_t i = 0; i < bar_width; ++i) {
    cells += i < full ? (look.unicode ? "━" : "=") : (look.unicode ? "┈" : "-");
  }
  return fmt::format("{} {:3d} %", cells, static_cast<int>(part * 100));
}

std::vector<std::string> event_lines(const Event& event, const Look& look) {
  const auto sign = sign_of(event.kind);
  const auto width = std::min(look.width, longest_line);
  const auto plain_head = head(look.unicode ? sign.unicode : sign.ascii, event.step);
  const auto indent = columns(plain_head);
  const auto time = event.elapsed ? format_duration(*event.elapsed) : std::string{};
  const auto room = width > indent + time.size() + 12 ? width - indent - (time.empty() ? 0 : time.size() + 2) : 40;

  auto texts = wrapped(clean(event.text), room);
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    auto line = i == 0 ? plain_head + texts[i] : std::string(indent, ' ') + texts[i];
    while (!line.empty() && line.back() == ' ') line.pop_back();
    if (i + 1 == texts.size()) line = with_time(std::move(line), time, width, look);
    lines.push_back(std::move(line));
  }
  const auto shown = std::string{look.unicode ? sign.unicode : sign.ascii};
  lines.front().replace(sign_column, shown.size(), painted(shown, sign.paint, look));
  for (const auto& text : event.details) lines.push_back(detail(text, look));
  return lines;
}

std::vector<std::string> live_lines(const Event& event, Milliseconds elapsed, unsigned frame, const Look& look) {
  constexpr std::array<std::string_view, 10> braille{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"};
  constexpr std::array<std::string_view, 4> ascii{"|", "/", "-", "\\"};
  const auto width = std::min(look.width, longest_line);
  const auto time = format_duration(elapsed);
  auto line = head(look.unicode ? braille[frame % braille.size()] : ascii[frame % ascii.size()], event.step);
  auto text = clean(event.text);
  if (event.current && event.total) {
    text += (text.empty() ? "" : "  ") + bar(*event.current, *event.total, look);
  }
  const auto taken = time.size() + 2;
  line = fitted(line + text, width > taken ? width - taken : width);
  std::vector<std::string> lines{columns(line) + taken <= width ? with_time(line, time, width, look)
                                                                 : fitted(line, width)};
  const auto first = event.details.size() > live_details ? event.details.size() - live_details : 0;
  for (auto i = first; i < event.details.size(); ++i) lines.push_back(detail(event.details[i], look));
  return lines;
}

}  // namespace codops::cli::render
