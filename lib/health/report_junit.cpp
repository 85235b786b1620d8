#include "lib/health/report.hpp"

namespace codops::health {
namespace {

// XML 1.0 forbids most control characters even as references.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\n': out += "&#10;"; break;
      case '\t': out += "&#9;"; break;
      default: out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
    }
  }
  return out;
}

double shown_seconds(std::chrono::microseconds time) { return static_cast<double>(time.count()) / 1e6; }

std::string element(std::string_view name, const Outcome& outcome) {
  return fmt::format("      <{0} type=\"{1}\" message=\"{2}\">{3}</{0}>\n", name, io::to_string(outcome.stage), escaped(outcome.message),
                     escaped(outcome.hint.empty() ? outcome.target : outcome.target + "\nhint: " + outcome.hint));
}

}  // namespace

std::string junit(const Report& report, bool strict) {
  const auto counts = fmt::format("tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{:.3f}\"", report.outcomes.size(),
                                  report.count(Status::fail) + (strict ? report.count(Status::warn) : 0), report.count(Status::unknown), report.count(Status::skipped), shown_seconds(report.elapsed));
  auto out = fmt::format("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {0}>\n  <testsuite name=\"codops health-check\" {0} timestamp=\"{1}\">\n",
                         counts, to_rfc3339(report.started).substr(0, 19));
  for (const auto& outcome : report.outcomes) {
    out += fmt::format("    <testcase classname=\"health.{}\" name=\"{}\" time=\"{:.3f}\"", outcome.kind, escaped(outcome.name), shown_seconds(outcome.elapsed));
    switch (outcome.status) {
      case Status::ok: out += "/>\n"; continue;
      case Status::warn:
        if (strict) out += ">\n" + element("failure", outcome);
        else out += fmt::format(">\n      <system-out>{}</system-out>\n", escaped("warning: " + outcome.message));
        break;
      case Status::fail: out += ">\n" + element("failure", outcome); break;
      case Status::unknown: out += ">\n" + element("error", outcome); break;
      case Status::skipped: out += fmt::format(">\n      <skipped message=\"{}\"/>\n", escaped(outcome.message)); break;
    }
    out += "    </testcase>\n";
  }
  return out + "  </testsuite>\n</testsuites>\n";
}

}  // namespace codops::health
