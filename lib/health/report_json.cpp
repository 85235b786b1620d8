#include <nlohmann/json.hpp>

#include "lib/health/report.hpp"

namespace codops::health {
namespace {

using nlohmann::json;

double seconds(std::chrono::microseconds time) { return static_cast<double>(time.count()) / 1e6; }

json stages(const io::StageTimes& times) {
  auto out = json::object();
  const auto add = [&](const char* name, const auto& time) {
    if (time) out[name] = seconds(*time);
  };
  add("dns", times.dns);
  add("connect", times.connect);
  add("tls", times.tls);
  add("request", times.request);
  add("body", times.body);
  return out;
}

json tls(const io::TlsFacts& facts) {
  json out{{"version", facts.version}, {"verified", facts.verified}, {"chain", json::array()}};
  for (const auto& certificate : facts.chain) {
    out["chain"].push_back({{"subject", certificate.subject},
                            {"issuer", certificate.issuer},
                            {"names", certificate.names},
                            {"not_before", to_rfc3339(certificate.not_before)},
                            {"not_after", to_rfc3339(certificate.not_after)}});
  }
  return out;
}

json metric(const Metric& value) {
  json out{{"label", value.label}, {"value", value.value}, {"unit", value.unit}};
  if (value.warn) out["warn"] = *value.warn;
  if (value.fail) out["fail"] = *value.fail;
  return out;
}

json check(const Outcome& outcome) {
  json out{{"name", outcome.name},         {"kind", outcome.kind},
           {"target", outcome.target},     {"status", to_string(outcome.status)},
           {"attempts", outcome.attempts}, {"elapsed_seconds", seconds(outcome.elapsed)},
           {"stages", stages(outcome.times)}, {"cut", outcome.cut}};
  if (outcome.stage != io::Stage::none) out["stage"] = io::to_string(outcome.stage);
  if (!outcome.message.empty()) out["message"] = outcome.message;
  if (!outcome.hint.empty()) out["hint"] = outcome.hint;
  if (!outcome.address.empty()) out["address"] = outcome.address;
  if (outcome.http_status) out["http"] = {{"status", *outcome.http_status}, {"version", outcome.http_version}};
  if (!outcome.captured.empty()) out["headers"] = outcome.captured;
  if (outcome.tls) out["tls"] = tls(*outcome.tls);
  out["metrics"] = json::array();
  for (const auto& value : outcome.metrics) out["metrics"].push_back(metric(value));
  return out;
}

}  // namespace

json to_json(const Report& report, bool strict) {
  json out{{"healthy", report.healthy(strict)},
           {"exit", static_cast<int>(report.exit(strict))},
           {"started", to_rfc3339(report.started)},
           {"elapsed_seconds", seconds(report.elapsed)},
           {"checks", json::array()}};
  for (const auto status : {Status::ok, Status::warn, Status::fail, Status::unknown, Status::skipped}) {
    out["counts"][std::string{to_string(status)}] = report.count(status);
  }
  for (const auto& outcome : report.outcomes) out["checks"].push_back(check(outcome));
  return out;
}

}  // namespace codops::health
