#include "lib/migrate/lint_walk.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "lib/migrate/analysis.hpp"

namespace codops::migrate {

namespace {

using Kind = Parsed::Kind;
using ActionKind = Action::Kind;

// One walk over a script's statements.
class Linter {
 public:
  Linter(const Script& script, const LintOptions& options) : script_{script}, options_{options} {}

  std::vector<Finding> findings() {
    for (at_ = 0; at_ < script_.statements.size(); ++at_) {
      look_at(script_.parsed[at_], 0);
      transaction_rules();
      statement_rules();
      remember();
      // What stands in a block may run: judged as the rest, but nothing is known to be new by it.
      if (script_.parsed[at_].kind != Kind::do_block) continue;
      for (const auto& part : script_.parsed[at_].parts) {
        look_at(part, part.offset);
        statement_rules();
        remember();
      }
    }
    file_rules();
    return std::move(findings_);
  }

 private:
  const Parsed& parsed() const { return *now_; }
  void look_at(const Parsed& statement, std::size_t offset) {
    now_ = &statement;
    start_ = script_.statements[at_].start + offset;
  }

  void find(std::string_view rule, std::string message) { find_at(rule, std::move(message), start_); }
  void find_at(std::string_view rule, std::string message, std::size_t offset) {
    const auto position = script_.where(offset);
    findings_.push_back({lint_rule(rule).id, script_.path, position.line, position.column, std::move(message), false, {}});
  }
  static bool among(const std::vector<Name>& names, const Name& name) { return std::find(names.begin(), names.end(), name) != names.end(); }
  bool is_new(const Name& table) const { return among(created_, table); }
  bool in_transaction() const { return script_.transactional || depth_ > 0; }
  bool is_constrained_domain(const Name& type) const {
    return among(domains_, type) || std::any_of(options_.domains.begin(), options_.domains.end(), [&](const Name& one) {
             return one.name == type.name && (one.schema == type.schema || one.schema.empty() || type.schema.empty());
           });
  }
  // A view that the file makes anew is only changed.
  bool made_again(const Name& view) const {
    return std::any_of(script_.parsed.begin() + static_cast<std::ptrdiff_t>(at_), script_.parsed.end(), [&](const Parsed& later) {
      return (later.kind == Kind::create_view || later.kind == Kind::create_matview) && later.object() == view;
    });
  }

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
      if (!script_.transactional) altered_.clear();
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
      case Kind::drop_view:
        for (const auto& name : statement.objects) {
          if (!is_new(name) && (statement.cascade || !made_again(name))) find("drop-view", fmt::format("drops \"{}\"{}", name.shown(), statement.cascade ? " and what stands on it" : ""));
        }
        break;
      case Kind::drop_routine:
      case Kind::drop_other:
        if (statement.cascade) find("drop-cascade", statement.objects.empty() ? "drops with CASCADE" : fmt::format("drops \"{}\" with CASCADE", table));
        break;
      case Kind::drop_extension:
        for (const auto& name : statement.objects) find("drop-extension", fmt::format("drops \"{}\"{}", name.shown(), statement.cascade ? " and the columns of its types" : ""));
        break;
      case Kind::alter_type_drop_attribute: find("drop-attribute", fmt::format("\"{}\" of \"{}\"", statement.value, table)); break;
      case Kind::alter_schema_rename: find("rename-table", fmt::format("renames the schema \"{}\"", table)); break;
      case Kind::alter_view:
        for (const auto& action : statement.actions) {
          if (action.kind == ActionKind::rename_column) find("rename-column", fmt::format("\"{}\" of \"{}\"", action.name, table));
          if (action.kind == ActionKind::rename_table) find("rename-table", fmt::format("\"{}\" becomes \"{}\"", table, action.name));
          if (action.kind == ActionKind::set_schema) find("rename-table", fmt::format("\"{}\" moves to the schema \"{}\"", table, action.name));
        }
        break;
      case Kind::alter_domain:
        for (const auto& action : statement.actions) {
          if (action.kind != ActionKind::other && !action.not_valid) find("domain-constraint", fmt::format("every column of \"{}\"", table));
        }
        break;
      case Kind::lock:
        for (const auto& name : statement.objects) {
          if (!is_new(name)) find("lock-table", fmt::format("\"{}\"{}", name.shown(), statement.value.empty() ? "" : " in " + statement.value + " mode"));
        }
        break;
      case Kind::refresh_matview:
        if (!statement.concurrently && !is_new(statement.object())) find("refresh-not-concurrent", fmt::format("\"{}\"", table));
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
    backfill_rule(statement);
    if (statement.kind != Kind::do_block) {
      for (const auto& part : statement.parts) {
        row_rules(part);
        backfill_rule(part);
      }
    }
    if (const auto unseen = unseen_in(statement, {}); !unseen.empty()) find("unseen-code", unseen);
    for (const auto& name : statement.identifiers) find("identifier-too-long", fmt::format("\"{}\" has {} bytes", name, name.size()));
  }

  void row_rules(const Parsed& statement) {
    if (is_new(statement.object())) return;
    const auto table = statement.object().shown();
    if (statement.everything) find("update-without-where", fmt::format("all rows of \"{}\"", table));
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
        if (is_constrained_domain(action.type_name)) find("domain-column", on);
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
      case ActionKind::set_schema: find("rename-table", fmt::format("\"{}\" moves to the schema \"{}\"", table.shown(), action.name)); break;
      case ActionKind::set_logged: find("table-rewrite", fmt::format("\"{}\" switches logging", table.shown())); break;
      case ActionKind::set_access_method: find("table-rewrite", fmt::format("\"{}\" moves to another access method", table.shown())); break;
      case ActionKind::set_tablespace: find("table-rewrite", fmt::format("\"{}\" moves to another tablespace", table.shown())); break;
      case ActionKind::attach_partition:
        if (!is_new(action.references)) find("attach-partition", fmt::format("\"{}\" becomes a partition of \"{}\"", action.references.shown(), table.shown()));
        break;
      case ActionKind::validate_constraint:
        if (in_transaction() && (among(altered_, table) || locks_otherwise())) find("validate-in-transaction", on);
        break;
      default: break;
    }
  }

  // Something beside VALIDATE in the same ALTER TABLE.
  bool locks_otherwise() const {
    return std::any_of(parsed().actions.begin(), parsed().actions.end(), [](const Action& action) { return action.kind != ActionKind::validate_constraint; });
  }

  void backfill_rule(const Parsed& statement) {
    const auto kind = statement.kind;
    const bool changes_rows = kind == Kind::update || kind == Kind::remove || kind == Kind::merge;
    if (!in_transaction() || !changes_rows || is_new(statement.object()) || altered_.empty()) return;
    find("backfill-with-ddl", fmt::format("rows of \"{}\" are changed while \"{}\" is locked", statement.object().shown(), altered_.front().shown()));
  }

  void forget(const Name& table) {
    std::erase_if(created_, [&](const Name& one) { return one.name == table.name && (one.schema == table.schema || one.schema.empty() || table.schema.empty()); });
  }

  void remember() {
    const auto kind = parsed().kind;
    const auto table = parsed().object();
    const bool certainly = now_ == &script_.parsed[at_];
    // Where IF NOT EXISTS finds the table it has rows and readers.
    const bool fresh = !parsed().if_not_exists || (options_.absent && options_.absent(table));
    if (certainly && fresh && (kind == Kind::create_table || kind == Kind::create_matview)) created_.push_back(table);
    if (kind == Kind::create_type && parsed().constrained) domains_.push_back(table);
    if ((kind == Kind::alter_table || kind == Kind::drop_table) && !is_new(table)) {
      altered_.push_back(table);
      ever_altered_ = true;
    }
    if (kind == Kind::drop_table) {
      for (const auto& name : parsed().objects) forget(name);
    }
    for (const auto& action : parsed().actions) {
      if (kind != Kind::alter_table || (action.kind != ActionKind::rename_table && action.kind != ActionKind::set_schema)) continue;
      const bool moves = action.kind == ActionKind::set_schema;
      const Name now{moves ? action.name : table.schema, moves ? table.name : action.name};
      const bool was_new = certainly && is_new(table);
      forget(table);
      forget(now);
      (was_new ? created_ : altered_).push_back(now);
    }
    if ((kind == Kind::set || kind == Kind::set_local) && parsed().value == "lock_timeout") lock_timeout_ = true;
    if ((kind == Kind::set || kind == Kind::set_local) && parsed().value == "statement_timeout") statement_timeout_ = true;
  }

  void file_rules() {
    for (std::size_t i = 0; i < script_.parsed.size(); ++i) {
      if (script_.parsed[i].kind != Kind::alter_type_add_value || script_.reason.find("enum") == std::string::npos) continue;
      find_at("enum-value-used", fmt::format("'{}' of \"{}\"", script_.parsed[i].value, script_.parsed[i].object().shown()), script_.statements[i].start);
      break;
    }
    if (!options_.timeouts || !ever_altered_) return;
    if (!lock_timeout_) find_at("lock-timeout", "the file sets no lock_timeout", script_.statements.front().start);
    if (!statement_timeout_) find_at("statement-timeout", "the file sets no statement_timeout", script_.statements.front().start);
  }

  const Script& script_;
  const LintOptions& options_;
  std::vector<Finding> findings_;
  std::vector<Name> created_, altered_, domains_;  // altered: in the transaction that is open
  bool ever_altered_{false};
  std::size_t at_{}, start_{};
  const Parsed* now_{};
  int depth_{};
  bool lock_timeout_{false}, statement_timeout_{false};
};

}  // namespace

std::vector<Finding> walk(const Script& script, const LintOptions& options) { return Linter{script, options}.findings(); }

}  // namespace codops::migrate
