#pragma once
// Rules about migrations that hurt a running application, most of them known from squawk and strong_migrations. A file
// allows itself an exception with a reason:
//   -- codops-lint: allow drop-column, rename-table because nothing reads them since v1.2
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/migrate/mode.hpp"

namespace codops::migrate {

enum class Severity : std::uint8_t { note, warning, error };
std::string_view name_of(Severity severity);

struct Rule {
  std::string_view id;
  Severity severity{Severity::warning};
  std::string_view why;
  std::string_view instead;  // the safe rewrite
};
const std::vector<Rule>& lint_rules();
const Rule& lint_rule(std::string_view id);

struct Finding {
  std::string_view rule;  // Rule::id
  std::string path;
  std::size_t line{}, column{};
  std::string message;  // names the object
  bool suppressed{false};
  std::string reason;  // of the suppression
};

struct LintOptions {
  bool timeouts{false};  // also miss lock_timeout and statement_timeout in files: for tools that set none themselves
  std::vector<Name> domains{};                      // known to have NOT NULL or CHECK
  std::function<bool(const Name& table)> absent{};  // the database is known not to have it, so IF NOT EXISTS makes it
};
// The domains with NOT NULL or CHECK that these files make.
std::vector<Name> constrained_domains(const std::vector<Migration>& migrations);

// Findings in the order of lines; suppressed ones stay in the list. A file that can't be prepared gives one finding
// ("unfit-file") instead.
std::vector<Finding> lint(const Migration& migration, const LintOptions& options = {});
std::vector<Finding> lint(const Script& script, const LintOptions& options);

std::size_t open_findings(const std::vector<Finding>& findings, Severity at_least);
std::string to_text(const std::vector<Finding>& findings);
std::string to_json(const std::vector<Finding>& findings);
// SARIF 2.1.0; `folder` is put before the paths, so that they are the repository's.
std::string to_sarif(const std::vector<Finding>& findings, std::string_view folder, std::string_view version);

}  // namespace codops::migrate
