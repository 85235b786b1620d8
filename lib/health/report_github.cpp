// https://docs.github.com/actions, "Workflow commands": ::error title=T::message, with its own percent-encoding.
#include "lib/health/report.hpp"

namespace codops::health {
namespace {

std::string encoded(std::string_view text, bool property) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '%': out += "%25"; break;
      case '\r': out += "%0D"; break;
      case '\n': out += "%0A"; break;
      case ':': out += property ? "%3A" : ":"; break;
      case ',': out += property ? "%2C" : ","; break;
      default: out.push_back(c);
    }
  }
  return out;
}

}  // namespace

std::string github(const Report& report, bool strict) {
  std::string out;
  for (const auto* outcome : worst_first(report)) {
    if (outcome->status == Status::ok) continue;
    const char* kind = (outcome->status == Status::warn && !strict) || outcome->status == Status::skipped ? "warning" : "error";
    auto text = fmt::format("{} {}{}: {}", outcome->target, to_string(outcome->status),
                            outcome->stage == io::Stage::none ? "" : fmt::format(" in {}", io::to_string(outcome->stage)), outcome->message);
    if (!outcome->hint.empty()) text += "\nhint: " + outcome->hint;
    out += fmt::format("::{} title={}::{}\n", kind, encoded("health: " + outcome->name, true), encoded(text, false));
  }
  return out + "::notice title=health::" + encoded(summary(report), false) + "\n";
}

}  // namespace codops::health
