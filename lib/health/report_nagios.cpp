// Monitoring Plugins Development Guidelines, "Plugin Output for Nagios": TEXT | 'label'=value[UOM];warn;crit;min;max
#include <map>
#include <set>

#include "lib/health/report.hpp"
#include "lib/io/http_probe.hpp"

namespace codops::health {
namespace {

// '|' begins performance data, a newline ends the line.
std::string plain(std::string_view text) {
  std::string out;
  for (const char c : text) out.push_back(c == '|' ? '/' : static_cast<unsigned char>(c) < 0x20 ? ' ' : c);
  return out;
}

std::string label(std::string_view text) {
  std::string out;
  for (const char c : text) out.push_back(c == '=' || c == '|' || static_cast<unsigned char>(c) < 0x20 ? '_' : c);
  return out;
}

// What a check is called in its labels. Of those that would be called alike ("a=b", "a_b") who is really called so keeps the name, the
// others get a number, in the order of the checks: a graph must go on with the values of the same one.
std::map<std::string, std::string> labels_of(const Report& report) {
  std::map<std::string, std::string> labels;
  std::set<std::string> taken;
  for (const auto& outcome : report.outcomes) {
    if (label(outcome.name) == outcome.name) taken.insert(labels[outcome.name] = outcome.name);
  }
  for (const auto& outcome : report.outcomes) {
    if (labels.contains(outcome.name)) continue;
    auto own = label(outcome.name);
    for (int i = 2; !taken.insert(own).second; ++i) own = fmt::format("{} #{}", label(outcome.name), i);
    labels[outcome.name] = own;
  }
  return labels;
}

std::string in_quotes(std::string_view text) {
  std::string out{"'"};
  for (const char c : text) out.append(c == '\'' ? 2 : 1, c);
  return out + "'";
}

std::string number(const std::optional<double>& value) { return value ? fmt::format("{:.6g}", *value) : std::string{}; }

std::string limit(const Metric& metric, const std::optional<double>& value) {
  return value ? number(value) + (metric.low_is_bad ? ":" : "") : std::string{};
}

std::string datum(const std::string& name, const Metric& metric) {
  // Days are no unit that the guidelines know.
  const auto& unit = metric.unit == "d" ? std::string{} : metric.unit;
  auto out = fmt::format("{}={:.6g}{};{};{};{};{}", in_quotes(name + " " + label(metric.label) + (metric.unit == "d" ? " days" : "")), metric.value, unit, limit(metric, metric.warn), limit(metric, metric.fail),
                         number(metric.min), number(metric.max));
  while (out.ends_with(';')) out.pop_back();
  return out;
}

}  // namespace

Exit nagios_exit(const Report& report) {
  if (report.count(Status::fail) > 0) return Exit::unhealthy;
  if (report.count(Status::unknown) + report.count(Status::skipped) > 0 || report.ended_by) return Exit::unknown;
  return report.count(Status::warn) > 0 ? Exit::failed : Exit::ok;
}

std::string nagios(const Failure& failure) {
  return plain("UNKNOWN: " + io::shown_text(failure.message()) + (failure.hint().empty() ? "" : " (" + failure.hint() + ")")) + "\n";
}

std::string nagios(const Report& report) {
  const auto exit = nagios_exit(report);
  const char* word = exit == Exit::ok ? "OK" : exit == Exit::failed ? "WARNING" : exit == Exit::unhealthy ? "CRITICAL" : "UNKNOWN";
  auto first = fmt::format("{}: {}", word, summary(report));
  const auto labels = labels_of(report);
  std::string data, rest;
  for (const auto* outcome : worst_first(report)) {
    for (const auto& metric : outcome->metrics) data += " " + datum(labels.at(outcome->name), metric);
    if (outcome->status == Status::ok) continue;
    rest += plain(fmt::format("{} {} ({}){}: {}", to_string(outcome->status), outcome->name, outcome->target,
                              outcome->stage == io::Stage::none ? "" : fmt::format(" in {}", io::to_string(outcome->stage)), outcome->message)) + "\n";
  }
  return first + (data.empty() ? "" : " |" + data) + "\n" + rest;
}

}  // namespace codops::health
