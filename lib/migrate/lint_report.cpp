#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/migrate/lint.hpp"

namespace codops::migrate {

std::string to_text(const std::vector<Finding>& findings) {
  std::string text;
  std::size_t suppressed = 0;
  for (const auto& finding : findings) {
    if (finding.suppressed) {
      ++suppressed;
      continue;
    }
    const auto& rule = lint_rule(finding.rule);
    text += fmt::format("{}:{}:{}: {}: {} [{}]\n    why      {}\n", finding.path, finding.line, finding.column, name_of(rule.severity), finding.message,
                        rule.id, rule.why);
    if (!rule.instead.empty()) text += fmt::format("    instead  {}\n", rule.instead);
  }
  text += fmt::format("{} errors, {} warnings, {} notes, {} allowed\n", open_findings(findings, Severity::error),
                      open_findings(findings, Severity::warning) - open_findings(findings, Severity::error),
                      open_findings(findings, Severity::note) - open_findings(findings, Severity::warning), suppressed);
  return text;
}

std::string to_json(const std::vector<Finding>& findings) {
  auto document = nlohmann::ordered_json{{"findings", nlohmann::ordered_json::array()}};
  for (const auto& finding : findings) {
    const auto& rule = lint_rule(finding.rule);
    nlohmann::ordered_json row{{"rule", rule.id}, {"severity", name_of(rule.severity)}, {"file", finding.path}, {"line", finding.line},
                               {"column", finding.column}, {"message", finding.message}, {"why", rule.why}, {"instead", rule.instead},
                               {"suppressed", finding.suppressed}};
    if (finding.suppressed) row["reason"] = finding.reason;
    document["findings"].push_back(std::move(row));
  }
  return document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

namespace {

// RFC 3986: a path as a reference to it. Bytes of UTF-8 are encoded one by one.
std::string uri_of(std::string_view path) {
  constexpr std::string_view plain{"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/!$&'()*+,;=@"};
  std::string uri;
  for (const char c : path) {
    if (plain.find(c) != std::string_view::npos) uri += c;
    else uri += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return uri;
}

}  // namespace

std::string to_sarif(const std::vector<Finding>& findings, std::string_view folder, std::string_view version) {
  using json = nlohmann::ordered_json;
  json rules = json::array();
  for (const auto& rule : lint_rules()) {
    rules.push_back({{"id", rule.id}, {"shortDescription", {{"text", rule.why}}}, {"help", {{"text", rule.instead.empty() ? rule.why : rule.instead}}},
                     {"defaultConfiguration", {{"level", name_of(rule.severity)}}}});
  }
  json results = json::array();
  for (const auto& finding : findings) {
    const auto path = folder.empty() ? finding.path : fmt::format("{}/{}", folder, finding.path);
    json result{{"ruleId", finding.rule}, {"level", name_of(lint_rule(finding.rule).severity)}, {"message", {{"text", finding.message}}},
                {"locations", json::array({{{"physicalLocation", {{"artifactLocation", {{"uri", uri_of(path)}}},
                                                                  {"region", {{"startLine", finding.line}, {"startColumn", finding.column}}}}}}})}};
    if (finding.suppressed) result["suppressions"] = json::array({{{"kind", "inSource"}, {"justification", finding.reason}}});
    results.push_back(std::move(result));
  }
  const json document{{"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
                      {"version", "2.1.0"},
                      {"runs", json::array({{{"tool", {{"driver", {{"name", "codops migrate lint"}, {"version", version}, {"rules", rules}}}}}, {"results", results}}})}};
  return document.dump(2, ' ', false, json::error_handler_t::replace);
}

}  // namespace codops::migrate
