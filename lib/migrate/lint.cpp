#include "lib/migrate/lint.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "lib/base/failure.hpp"
#include "lib/migrate/lexer.hpp"

namespace codops::migrate {

namespace {

using Kind = Parsed::Kind;
using ActionKind = Action::Kind;

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

// One walk over a script's statements.
class Linter {
 public:
  Linter(const Script& script, const LintOptions& options) : script_{script}, options_{options} {}

  std::vector<Finding> findings() {
    for (at_ = 0; at_ < script_.statements.size(); ++at_) {
      transaction_rules();
      statement_rules();
      remember();
    }
    file_rules();
    return std::move(findings_);
  }

 private:
  const Parsed& parsed() const { return script_.parsed[at_]; }

  void find(std::string_view rule, std::string message) { find_at(rule, std::move(message), script_.statements[at_].start); }
  void find_at(std::string_view rule, std::string message, std::size_t offset) {
    const auto position = script_.where(offset);
    findings_.push_back({lint_rule(rule).id, script_.path, position.line, position.column, std::move(message), false, {}});
  }
  bool is_new(const Name& table) const { return std::find(created_.begin(), created_.end(), table) != created_.end(); }

  void transaction_rules() {
    const bool own_way = !outside_transaction_only(parsed()).empty();
    if (own_way && parsed().concurrently && (depth_ > 0 || script_.statements.size() > 1)) {
      find("concurrent-in-transaction", fmt::format("{} stands {}", outside_transaction_only(parsed()), depth_ > 0 ? "between BEGIN and COMMIT" : "beside other statements"));
    }
    if (parsed().kind == Kind::begin) {
      if (depth_ > 0) find("transaction-nesting", "BEGIN inside a transaction");
      else find("transaction-control", "the file begins its own transaction");
      ++depth_;
    }
    if (parsed().kind == Kind::commit || parsed().kind == Kind::rollback) {
      if (depth_ == 0) find("transaction-nesting", "ends a transaction that it did not begin");
      depth_ = 0;
    }
  }

  void statement_rules() {
    const auto& statement = parsed();
    const auto table = statement.object().shown();
    switch (statement.kind) {
      case Kind::create_index:
        if (!statement.concurrently && !is_new(statement.table)) find("index-not-concurrent", fmt::format("builds an index on \"{}\"", statement.table.shown()));
        if (statement.concurrently && statement.if_not_exists) find("concurrent-if-not-exists", fmt::format("index \"{}\"", table));
        break;
      case Kind::drop_index:
        if (!statement.concurrently) find("drop-index-not-concurrent", fmt::format("drops \"{}\"", table));
        break;
      case Kind::reindex:
        if (!statement.concurrently) find("reindex-not-concurrent", "rebuilds indexes");
        break;
      case Kind::drop_table:
        for (const auto& name : statement.objects) {
          if (!is_new(name)) find("drop-table", fmt::format("drops \"{}\"", name.shown()));
        }
        break;
      case Kind::truncate:
        for (const auto& name : statement.objects) {
          if (!is_new(name)) find("truncate", fmt::format("empties \"{}\"{}", name.shown(), statement.cascade ? " and what refers to it" : ""));
        }
        break;
      case Kind::database: find("drop-database", "creates, drops or changes a database"); break;
      case Kind::alter_system: find("alter-system", "ALTER SYSTEM"); break;
      case Kind::alter_type_rename_value: find("rename-enum", fmt::format("renames a value of \"{}\"", table)); break;
      case Kind::alter_type_rename: find("rename-enum", fmt::format("renames the type \"{}\"", table)); break;
      case Kind::drop_schema:
        for (const auto& name : statement.objects) find("drop-schema", fmt::format("drops \"{}\"{}", name.shown(), statement.cascade ? " with all that is in it" : ""));
        break;
      case Kind::drop_type:
        for (const auto& name : statement.objects) find("drop-type", fmt::format("drops \"{}\"{}", name.shown(), statement.cascade ? " and the columns of that type" : ""));
        break;
      case Kind::drop_owned: find("drop-owned", fmt::format("drops all that \"{}\" owns", table)); break;
      case Kind::cluster: find("table-rewrite", "CLUSTER"); break;
      case Kind::vacuum:
        if (statement.full) find("table-rewrite", "VACUUM FULL");
        break;
      case Kind::update:
      case Kind::remove:
      case Kind::merge: row_rules(statement); break;
      case Kind::set:
        if (statement.value != "lock_timeout" && statement.value != "statement_timeout") find("session-setting", fmt::format("SET {}", statement.value));
        break;
      case Kind::create_table: table_rules(); break;
      case Kind::alter_table:
        for (const auto& action : statement.actions) action_rules(action);
        break;
      default: break;
    }
    for (const auto& part : statement.parts) row_rules(part);
    backfill_rule(statement);
    for (const auto& part : statement.parts) backfill_rule(part);
    for (const auto& name : statement.identifiers) find("identifier-too-long", fmt::format("\"{}\" has {} bytes", name, name.size()));
  }

  void row_rules(const Parsed& statement) {
    if (is_new(statement.object())) return;
    const auto table = statement.object().shown();
    const bool everything = (statement.kind == Kind::update || statement.kind == Kind::remove) && !statement.has_where;
    if (everything) find("update-without-where", fmt::format("all rows of \"{}\"", table));
    if (statement.removes) find("merge-delete", fmt::format("deletes rows of \"{}\"", table));
  }

  void type_rules(const Action& column) {
    if (column.type == "json" || column.type == "json[]") find("json-type", fmt::format("\"{}\" is json", column.name));
    if (column.type == "timestamp" || (column.type.starts_with("timestamp(") && column.type.find("with time zone") == std::string::npos)) {
      find("timestamp-without-zone", fmt::format("\"{}\" has no time zone", column.name));
    }
  }

  void table_rules() {
    for (const auto& action : parsed().actions) {
      if (action.kind == ActionKind::add_column) type_rules(action);
    }
  }

  void action_rules(const Action& action) {
    const auto table = parsed().object();
    const auto on = fmt::format("\"{}\" of \"{}\"", action.name, table.shown());
    if (action.kind == ActionKind::add_column) type_rules(action);
    if (is_new(table)) return;
    switch (action.kind) {
      case ActionKind::add_column:
        if (action.generated) find("generated-column", on);
        else if (action.volatile_default) find("volatile-default", on);
        if (action.not_null && !action.has_default && !action.generated) find("required-field", on);
        if (action.unique || action.primary_key) find("unique-constraint", on);
        if (action.check) find("constraint-not-valid", on);
        if (!action.references.empty()) find("foreign-key", fmt::format("{} refers to \"{}\"", on, action.references.shown()));
        break;
      case ActionKind::drop_column: find("drop-column", on); break;
      case ActionKind::column_type: find("column-type", fmt::format("{} becomes {}", on, action.type)); break;
      case ActionKind::set_not_null: find("not-null", on); break;
      case ActionKind::drop_not_null: find("drop-not-null", on); break;
      case ActionKind::add_check:
        if (!action.not_valid) find("constraint-not-valid", on);
        break;
      case ActionKind::add_foreign_key:
        if (!action.not_valid) find("foreign-key", fmt::format("\"{}\" refers to \"{}\"", table.shown(), action.references.shown()));
        break;
      case ActionKind::add_unique:
      case ActionKind::add_primary_key:
        if (!action.using_index) find("unique-constraint", on);
        break;
      case ActionKind::add_exclusion: find("exclusion-constraint", on); break;
      case ActionKind::rename_column: find("rename-column", on); break;
      case ActionKind::rename_table: find("rename-table", fmt::format("\"{}\" becomes \"{}\"", table.shown(), action.name)); break;
      default: break;
    }
  }

  void backfill_rule(const Parsed& statement) {
    const auto kind = statement.kind;
    const bool changes_rows = kind == Kind::update || kind == Kind::remove || kind == Kind::merge;
    if (!script_.transactional || !changes_rows || is_new(statement.object()) || altered_.empty()) return;
    find("backfill-with-ddl", fmt::format("rows of \"{}\" are changed while \"{}\" is locked", statement.object().shown(), altered_.front().shown()));
  }

  void remember() {
    const auto kind = parsed().kind;
    if (kind == Kind::create_table || kind == Kind::create_matview) created_.push_back(parsed().object());
    if ((kind == Kind::alter_table || kind == Kind::drop_table) && !is_new(parsed().object())) altered_.push_back(parsed().object());
    if ((kind == Kind::set || kind == Kind::set_local) && parsed().value == "lock_timeout") lock_timeout_ = true;
    if ((kind == Kind::set || kind == Kind::set_local) && parsed().value == "statement_timeout") statement_timeout_ = true;
  }

  void file_rules() {
    for (std::size_t i = 0; i < script_.parsed.size(); ++i) {
      if (script_.parsed[i].kind != Kind::alter_type_add_value || script_.reason.find("enum") == std::string::npos) continue;
      find_at("enum-value-used", fmt::format("'{}' of \"{}\"", script_.parsed[i].value, script_.parsed[i].object().shown()), script_.statements[i].start);
      break;
    }
    if (!options_.timeouts || altered_.empty()) return;
    if (!lock_timeout_) find_at("lock-timeout", "the file sets no lock_timeout", script_.statements.front().start);
    if (!statement_timeout_) find_at("statement-timeout", "the file sets no statement_timeout", script_.statements.front().start);
  }

  const Script& script_;
  const LintOptions& options_;
  std::vector<Finding> findings_;
  std::vector<Name> created_, altered_;
  std::size_t at_{};
  int depth_{};
  bool lock_timeout_{false}, statement_timeout_{false};
};

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
  auto findings = Linter{script, options}.findings();
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

std::size_t open_findings(const std::vector<Finding>& findings, Severity at_least) {
  return static_cast<std::size_t>(std::count_if(findings.begin(), findings.end(), [&](const Finding& finding) {
    return !finding.suppressed && lint_rule(finding.rule).severity >= at_least;
  }));
}

}  // namespace codops::migrate
