#include "lib/base/units.hpp"
#include "lib/health/report.hpp"

namespace codops::health {
namespace {

struct Look {
  std::string_view sign, colour;
};

Look look_of(Status status) {
  switch (status) {
    case Status::ok: return {"✓", "\033[32m"};
    case Status::warn: return {"!", "\033[33m"};
    case Status::fail: return {"✗", "\033[31m"};
    case Status::unknown: return {"?", "\033[35m"};
    case Status::skipped: return {"–", "\033[2m"};
  }
  return {"?", ""};
}

int row_order(Status status) {
  switch (status) {
    case Status::fail: return 0;
    case Status::unknown: return 1;
    case Status::skipped: return 2;
    case Status::warn: return 3;
    case Status::ok: return 4;
  }
  return 5;
}

std::size_t columns(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string fitted(std::string_view text, std::size_t width) {
  std::string out{text};
  if (columns(out) > width) {
    std::size_t kept = 0, bytes = 0;
    while (bytes < text.size() && kept + 1 < width) {
      ++bytes;
      while (bytes < text.size() && (text[bytes] & 0xC0) == 0x80) ++bytes;
      ++kept;
    }
    out = std::string{text.substr(0, bytes)} + "…";
  }
  return out + std::string(width - std::min(width, columns(out)), ' ');
}

std::string short_time(std::chrono::microseconds time) {
  const auto milliseconds = std::chrono::round<Milliseconds>(time);
  return milliseconds < Milliseconds{1000} ? fmt::format("{} ms", milliseconds.count()) : format_duration(milliseconds);
}

// Control characters of a server's answer must not drive the terminal.
std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text) out.push_back(static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c);
  return out;
}

std::string stages_text(const io::StageTimes& times) {
  std::string out;
  const auto add = [&](std::string_view name, const auto& time) {
    if (time) out += fmt::format("{}{} {}", out.empty() ? "" : " · ", name, short_time(*time));
  };
  add("dns", times.dns);
  add("connect", times.connect);
  add("tls", times.tls);
  add("request", times.request);
  add("body", times.body);
  return out;
}

}  // namespace

std::vector<const Outcome*> worst_first(const Report& report) {
  std::vector<const Outcome*> out;
  for (const auto& outcome : report.outcomes) out.push_back(&outcome);
  std::stable_sort(out.begin(), out.end(), [](const auto* a, const auto* b) { return row_order(a->status) < row_order(b->status); });
  return out;
}

std::string summary(const Report& report) {
  const auto total = report.outcomes.size();
  const auto well = report.count(Status::ok) + report.count(Status::warn);
  auto out = well == total && total == 1 ? std::string{"1 check is well"}
             : well == total             ? fmt::format("all {} checks are well", total)
                                         : fmt::format("{} of {} checks {} well", well, total, well == 1 ? "is" : "are");
  for (const auto& [status, word] : {std::pair{Status::fail, "failed"}, {Status::unknown, "unknown"}, {Status::skipped, "skipped"}, {Status::warn, "with a warning"}}) {
    if (const auto count = report.count(status)) out += fmt::format(" · {} {}", count, word);
  }
  return out;
}

std::string fitted_lines(std::string_view text, std::size_t width) {
  std::string out;
  std::size_t column = 0;
  bool escape = false;
  for (const char c : text) {
    if (c == '\033') escape = true;
    const bool begins = !escape && c != '\n' && (c & 0xC0) != 0x80;
    if (begins) ++column;
    if (escape || c == '\n' || column <= width) out.push_back(c);
    if (escape && c == 'm') escape = false;
    if (c == '\n') column = 0;
  }
  return out;
}

std::string fitted_rows(std::string_view text, std::size_t rows) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size() - 1) + 1;
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  rows = std::max<std::size_t>(rows, 3);
  std::string out;
  const auto shown = lines.size() <= rows ? lines.size() : rows - 2;
  for (std::size_t i = 0; i < shown; ++i) out += lines[i];
  if (shown == lines.size()) return out;
  return out + fmt::format("  … and {} more lines\n{}", lines.size() - shown - 1, lines.back());
}

std::string table(const Report& report, std::size_t width, bool color) {
  std::size_t names = 5, targets = 6;
  for (const auto& outcome : report.outcomes) {
    names = std::max(names, columns(outcome.name));
    targets = std::max(targets, columns(outcome.target));
  }
  names = std::min<std::size_t>(names, 28);
  const std::size_t rest = 4 + names + 2 + 2 + 8 + 2 + 9;  // sign, gaps, stage, time
  targets = std::min(targets, width > rest + 12 ? width - rest : 12);
  std::string out = fmt::format("    {}  {}  {}  TIME\n", fitted("CHECK", names), fitted("TARGET", targets), fitted("STAGE", 8));
  for (const auto* outcome : worst_first(report)) {
    const auto look = look_of(outcome->status);
    const auto sign = color ? fmt::format("{}{}\033[0m", look.colour, look.sign) : std::string{look.sign};
    auto line = fmt::format("  {} {}  {}  {}  {}", sign, fitted(printable(outcome->name), names), fitted(printable(outcome->target), targets),
                            fitted(io::to_string(outcome->stage), 8), outcome->attempts == 0 ? "" : short_time(outcome->elapsed));
    while (line.ends_with(' ')) line.pop_back();
    out += line + "\n";
    if (outcome->status == Status::ok) continue;
    if (!outcome->message.empty()) {
      out += "      " + printable(outcome->message) + (outcome->attempts > 1 ? fmt::format(" ({} attempts)", outcome->attempts) : "") + "\n";
    }
    if (const auto times = stages_text(outcome->times); outcome->status == Status::fail && !times.empty()) out += "      " + times + "\n";
    if (!outcome->hint.empty()) out += "      hint: " + printable(outcome->hint) + "\n";
  }
  return out + "  " + summary(report) + " · " + short_time(report.elapsed) + "\n";
}

}  // namespace codops::health
