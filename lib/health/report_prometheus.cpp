// https://prometheus.io/docs/instrumenting/exposition_formats/, "Text-based format"
#include "lib/health/report.hpp"

namespace codops::health {
namespace {

std::string escaped_label(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '"') out.push_back('\\');
    if (c == '\n') out += "\\n";
    else out.push_back(c);
  }
  return out;
}

std::string labels(const Outcome& outcome) {
  return fmt::format("check=\"{}\",kind=\"{}\",target=\"{}\"", escaped_label(outcome.name), escaped_label(outcome.kind), escaped_label(outcome.target));
}

double exact_seconds(std::chrono::microseconds time) { return static_cast<double>(time.count()) / 1e6; }

std::string head(std::string_view name, std::string_view help) {
  return fmt::format("# HELP {0} {1}\n# TYPE {0} gauge\n", name, help);
}

// One value a check, nothing for checks that have none.
template <typename Value>
std::string family(const Report& report, std::string_view name, std::string_view help, Value&& value) {
  std::string samples;
  for (const auto& outcome : report.outcomes) {
    for (const auto& [more, number] : value(outcome)) {
      samples += fmt::format("{}{{{}{}}} {:.10g}\n", name, labels(outcome), more.empty() ? "" : "," + more, number);
    }
  }
  return samples.empty() ? "" : head(name, help) + samples;
}

using Samples = std::vector<std::pair<std::string, double>>;

}  // namespace

std::string prometheus(const Report& report) {
  std::string out;
  out += family(report, "codops_health_up", "Whether the check is well (1), a warning included.", [](const Outcome& outcome) {
    return Samples{{"", outcome.status == Status::ok || outcome.status == Status::warn ? 1.0 : 0.0}};
  });
  out += family(report, "codops_health_status", "1 for the status that the check has.", [](const Outcome& outcome) {
    Samples samples;
    for (const auto status : {Status::ok, Status::warn, Status::fail, Status::unknown, Status::skipped}) {
      samples.emplace_back(fmt::format("status=\"{}\"", to_string(status)), outcome.status == status ? 1.0 : 0.0);
    }
    return samples;
  });
  out += family(report, "codops_health_duration_seconds", "How long the last attempt took.", [](const Outcome& outcome) {
    return outcome.attempts == 0 ? Samples{} : Samples{{"", exact_seconds(outcome.elapsed)}};
  });
  out += family(report, "codops_health_stage_duration_seconds", "How long each stage of the last attempt took.", [](const Outcome& outcome) {
    Samples samples;
    auto times = outcome.times;
    for (const auto stage : {io::Stage::dns, io::Stage::connect, io::Stage::tls, io::Stage::request, io::Stage::body}) {
      if (const auto* time = times.find(stage); *time) samples.emplace_back(fmt::format("stage=\"{}\"", io::to_string(stage)), exact_seconds(**time));
    }
    return samples;
  });
  out += family(report, "codops_health_certificate_not_after_timestamp_seconds", "When the certificate ends: the leaf's, and the first to end of the verified chain.",
                [](const Outcome& outcome) {
                  if (!outcome.tls || outcome.tls->chain.empty()) return Samples{};
                  const auto at = [](WallTime time) { return static_cast<double>(time.time_since_epoch().count()) / 1000.0; };
                  auto first = outcome.tls->chain.front().not_after;
                  for (const auto& certificate : outcome.tls->chain) first = std::min(first, certificate.not_after);
                  return Samples{{"of=\"leaf\"", at(outcome.tls->chain.front().not_after)}, {"of=\"chain\"", at(first)}};
                });
  out += family(report, "codops_health_value", "What a check measured.", [](const Outcome& outcome) {
    Samples samples;
    for (const auto& metric : outcome.metrics) {
      samples.emplace_back(fmt::format("value=\"{}\",unit=\"{}\"", escaped_label(metric.label), escaped_label(metric.unit)), metric.value);
    }
    return samples;
  });
  out += head("codops_health_last_run_timestamp_seconds", "When the checks were run.");
  out += fmt::format("codops_health_last_run_timestamp_seconds {:.3f}\n", static_cast<double>(report.started.time_since_epoch().count()) / 1000.0);
  return out;
}

}  // namespace codops::health
