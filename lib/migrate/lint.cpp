#include "lib/migrate/lint.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "lib/base/failure.hpp"
#include "lib/migrate/lexer.hpp"
#include "lib/migrate/lint_walk.hpp"

namespace codops::migrate {

namespace {

struct Exception {
  std::vector<std::string> rules;
  std::string reason;
  std::size_t offset{};
};

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

std::vector<Exception> exceptions_in(std::string_view text) {
  std::vector<Exception> result;
  constexpr std::string_view marker = "codops-lint: allow ";
  Lexer lexer{text};
  while (const auto token = lexer.next()) {
    if (token->kind != Token::Kind::line_comment) continue;
    auto comment = trimmed(token->of(text).substr(2));
    if (!comment.starts_with(marker)) continue;
    comment.remove_prefix(marker.size());
    Exception exception;
    exception.offset = token->begin;
    const auto because = comment.find(" because ");
    auto rules = comment.substr(0, because);
    if (because != std::string_view::npos) exception.reason = trimmed(comment.substr(because + 9));
    while (!rules.empty()) {
      const auto end = std::min(rules.find(','), rules.size());
      exception.rules.emplace_back(trimmed(rules.substr(0, end)));
      rules.remove_prefix(std::min(end + 1, rules.size()));
    }
    result.push_back(std::move(exception));
  }
  return result;
}

void suppress(std::vector<Finding>& findings, const Script& script) {
  for (const auto& exception : exceptions_in(script.text)) {
    const auto position = script.where(exception.offset);
    if (exception.reason.empty()) {
      findings.push_back({lint_rule("allow-without-reason").id, script.path, position.line, position.column, "an exception without a reason", false, {}});
      continue;
    }
    for (const auto& rule : exception.rules) {
      std::vector<std::string_view> known;
      for (const auto& one : lint_rules()) known.push_back(one.id);
      if (std::find(known.begin(), known.end(), rule) != known.end()) continue;
      const auto near = nearest(rule, known);
      findings.push_back({lint_rule("unknown-rule").id, script.path, position.line, position.column,
                          fmt::format("there is no rule \"{}\"{}", rule, near.empty() ? "" : "; did you mean \"" + near + "\"?"), false, {}});
    }
    for (auto& finding : findings) {
      if (std::find(exception.rules.begin(), exception.rules.end(), finding.rule) == exception.rules.end()) continue;
      finding.suppressed = true;
      finding.reason = exception.reason;
    }
  }
}

}  // namespace

std::string_view name_of(Severity severity) {
  return severity == Severity::error ? "error" : severity == Severity::warning ? "warning" : "note";
}

std::vector<Finding> lint(const Script& script, const LintOptions& options) {
  auto findings = walk(script, options);
  suppress(findings, script);
  std::stable_sort(findings.begin(), findings.end(), [](const Finding& a, const Finding& b) { return a.line < b.line; });
  return findings;
}

std::vector<Finding> lint(const Migration& migration, const LintOptions& options) {
  try {
    return lint(prepare(migration, false), options);
  } catch (const Failure& failure) {
    return {{lint_rule("unfit-file").id, migration.path, migration.first_line, 1, failure.message(), false, {}}};
  }
}

std::vector<Name> constrained_domains(const std::vector<Migration>& migrations) {
  std::vector<Name> names;
  for (const auto& migration : migrations) {
    if (migration.script_missing) continue;
    const auto text = migration.on_disk.empty() ? migration.script : loaded(migration).script;
    if (lower_case(text).find("domain") == std::string::npos) continue;
    for (const auto& statement : split(text)) {
      const auto parsed = parse(statement.sql(text));
      if (parsed.kind == Parsed::Kind::create_type && parsed.constrained) names.push_back(parsed.object());
    }
  }
  return names;
}

std::size_t open_findings(const std::vector<Finding>& findings, Severity at_least) {
  return static_cast<std::size_t>(std::count_if(findings.begin(), findings.end(), [&](const Finding& finding) {
    return !finding.suppressed && lint_rule(finding.rule).severity >= at_least;
  }));
}

}  // namespace codops::migrate
