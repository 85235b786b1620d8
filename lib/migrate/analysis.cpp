#include "lib/migrate/analysis.hpp"

#include <algorithm>

namespace codops::migrate {

namespace {

using Kind = Parsed::Kind;
using ActionKind = Action::Kind;

struct Change {
  Lock lock;
  Work work;
  std::string what;
};

Change column_type_change(const Action& action, const TableFacts& table) {
  const auto old = table.column_types.find(action.name);
  const bool rewrites = action.computed || old == table.column_types.end() || type_change_rewrites(old->second, action.type);
  return {Lock::access_exclusive, rewrites ? Work::rewrite : Work::metadata, "changes the type of \"" + action.name + "\" to " + action.type};
}

Change change_of(const Action& action, const TableFacts& table) {
  const auto exclusive = [](Work work, std::string what) { return Change{Lock::access_exclusive, work, std::move(what)}; };
  switch (action.kind) {
    case ActionKind::add_column:
      if (action.generated || action.volatile_default) return exclusive(Work::rewrite, "adds \"" + action.name + "\" with a value computed for every row");
      if (action.primary_key || action.unique) return exclusive(Work::build, "adds \"" + action.name + "\" with an index");
      if (action.check) return exclusive(Work::scan, "adds \"" + action.name + "\" with a check of every row");
      return exclusive(Work::metadata, "adds \"" + action.name + "\"");
    case ActionKind::drop_column: return exclusive(Work::metadata, "drops \"" + action.name + "\"");
    case ActionKind::column_type: return column_type_change(action, table);
    case ActionKind::set_not_null: {
      const bool known = std::find(table.checked_not_null.begin(), table.checked_not_null.end(), action.name) != table.checked_not_null.end();
      return exclusive(known ? Work::metadata : Work::scan, "makes \"" + action.name + "\" NOT NULL");
    }
    case ActionKind::add_check: return exclusive(action.not_valid ? Work::metadata : Work::scan, "adds a check");
    case ActionKind::add_foreign_key:
      return {Lock::share_row_exclusive, action.not_valid ? Work::metadata : Work::scan, "adds a foreign key to \"" + action.references.shown() + "\""};
    case ActionKind::add_unique:
    case ActionKind::add_primary_key: return exclusive(action.using_index ? Work::metadata : Work::build, "adds a unique constraint");
    case ActionKind::add_exclusion: return exclusive(Work::build, "adds an exclusion constraint");
    case ActionKind::validate_constraint: return {Lock::share_update_exclusive, Work::scan, "validates \"" + action.name + "\""};
    case ActionKind::attach_partition: return {Lock::share_update_exclusive, Work::metadata, "attaches \"" + action.references.shown() + "\""};
    case ActionKind::detach_partition:
      return {action.concurrently ? Lock::share_update_exclusive : Lock::access_exclusive, Work::metadata, "detaches \"" + action.references.shown() + "\""};
    case ActionKind::set_options: return {Lock::share_update_exclusive, Work::metadata, "sets options"};
    case ActionKind::trigger_state: return {Lock::share_row_exclusive, Work::metadata, "switches triggers"};
    case ActionKind::set_tablespace: return exclusive(Work::rewrite, "moves to another tablespace");
    case ActionKind::set_logged: return exclusive(Work::rewrite, "switches logging");
    case ActionKind::rename_column: return exclusive(Work::metadata, "renames \"" + action.name + "\"");
    case ActionKind::rename_table: return exclusive(Work::metadata, "is renamed \"" + action.name + "\"");
    default: return exclusive(Work::metadata, "changes its definition");
  }
}

const TableFacts& facts_of(const Tables& tables, const Name& name) {
  static const TableFacts none;
  const auto found = tables.find(name.shown());
  return found == tables.end() ? none : found->second;
}

void alter_table_effects(const Parsed& statement, const Tables& tables, std::vector<Effect>& effects) {
  const auto& table = facts_of(tables, statement.object());
  // One statement takes the strongest lock that any of its parts needs, and does all of their work under it.
  Effect whole{statement.object(), Lock::none, Work::metadata, {}};
  for (const auto& action : statement.actions) {
    auto change = change_of(action, table);
    whole.lock = std::max(whole.lock, change.lock);
    if (change.work > whole.work || whole.what.empty()) whole.what = std::move(change.what);
    whole.work = std::max(whole.work, change.work);
    if (action.kind == ActionKind::add_foreign_key || (action.kind == ActionKind::add_column && !action.references.empty())) {
      effects.push_back({action.references, Lock::share_row_exclusive, Work::metadata, "is referenced by \"" + statement.object().shown() + "\""});
    }
    if (action.kind == ActionKind::attach_partition) {
      effects.push_back({action.references, Lock::access_exclusive, Work::scan, "is checked against its bounds"});
    }
  }
  if (whole.lock == Lock::none) whole.lock = Lock::access_exclusive;
  effects.insert(effects.begin(), std::move(whole));
}

std::vector<Effect> raw_effects(const Parsed& statement, const Tables& tables) {
  std::vector<Effect> effects;
  const auto each = [&](Lock lock, Work work, const std::string& what) {
    for (const auto& name : statement.objects) effects.push_back({name, lock, work, what});
  };
  switch (statement.kind) {
    case Kind::create_index:
      effects.push_back({statement.table, statement.concurrently ? Lock::share_update_exclusive : Lock::share, Work::build,
                         "builds the index \"" + statement.object().name + "\""});
      break;
    case Kind::drop_index:
      effects.push_back({statement.table, statement.concurrently ? Lock::share_update_exclusive : Lock::access_exclusive, Work::metadata,
                         "drops the index \"" + statement.object().shown() + "\""});
      break;
    case Kind::reindex: {
      const auto& name = statement.table.empty() ? statement.object() : statement.table;
      effects.push_back({name, statement.concurrently ? Lock::share_update_exclusive : Lock::share, Work::build, "rebuilds indexes"});
      break;
    }
    case Kind::create_table:
      for (const auto& action : statement.actions) {
        if (!action.references.empty() && !(action.references == statement.object())) {
          effects.push_back({action.references, Lock::share_row_exclusive, Work::metadata, "is referenced by \"" + statement.object().shown() + "\""});
        }
      }
      if (statement.partition_of) effects.push_back({statement.table, Lock::access_exclusive, Work::metadata, "gets a partition"});
      break;
    case Kind::drop_table: each(Lock::access_exclusive, Work::metadata, "is dropped"); break;
    case Kind::truncate: each(Lock::access_exclusive, Work::metadata, "is emptied"); break;
    case Kind::alter_table: alter_table_effects(statement, tables, effects); break;
    case Kind::create_trigger: effects.push_back({statement.table, Lock::share_row_exclusive, Work::metadata, "gets a trigger"}); break;
    case Kind::drop_trigger: effects.push_back({statement.table, Lock::access_exclusive, Work::metadata, "loses a trigger"}); break;
    case Kind::create_policy:
    case Kind::create_rule: effects.push_back({statement.table, Lock::access_exclusive, Work::metadata, "gets a rule"}); break;
    case Kind::vacuum:
      each(statement.full ? Lock::access_exclusive : Lock::share_update_exclusive, statement.full ? Work::rewrite : Work::scan, "is vacuumed");
      break;
    case Kind::cluster: each(Lock::access_exclusive, Work::rewrite, "is clustered"); break;
    case Kind::analyze: each(Lock::share_update_exclusive, Work::metadata, "is analysed"); break;
    case Kind::refresh_matview: each(statement.concurrently ? Lock::exclusive : Lock::access_exclusive, Work::rewrite, "is computed again"); break;
    case Kind::drop_view: each(Lock::access_exclusive, Work::metadata, "is dropped"); break;
    case Kind::lock: each(Lock::access_exclusive, Work::metadata, "is locked"); break;
    case Kind::update: each(Lock::row_exclusive, statement.has_where ? Work::rows : Work::rewrite, "rows are changed"); break;
    case Kind::remove: each(Lock::row_exclusive, statement.has_where ? Work::rows : Work::scan, "rows are deleted"); break;
    case Kind::insert:
    case Kind::copy: each(Lock::row_exclusive, Work::rows, "rows are added"); break;
    case Kind::merge: each(Lock::row_exclusive, Work::rows, statement.removes ? "rows are changed and deleted" : "rows are changed"); break;
    case Kind::select:
      for (const auto& part : statement.parts) {
        auto more = raw_effects(part, tables);
        effects.insert(effects.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
      }
      break;
    default: break;
  }
  return effects;
}

}  // namespace

std::string_view name_of(Lock lock) {
  switch (lock) {
    case Lock::none: return "none";
    case Lock::access_share: return "ACCESS SHARE";
    case Lock::row_share: return "ROW SHARE";
    case Lock::row_exclusive: return "ROW EXCLUSIVE";
    case Lock::share_update_exclusive: return "SHARE UPDATE EXCLUSIVE";
    case Lock::share: return "SHARE";
    case Lock::share_row_exclusive: return "SHARE ROW EXCLUSIVE";
    case Lock::exclusive: return "EXCLUSIVE";
    case Lock::access_exclusive: return "ACCESS EXCLUSIVE";
  }
  return "";
}

std::string_view blocked_by(Lock lock) {
  if (lock == Lock::access_exclusive) return "reads and writes";
  if (lock >= Lock::share) return "writes";
  if (lock == Lock::share_update_exclusive) return "other schema changes";
  return "";
}

std::string_view name_of(Work work) {
  switch (work) {
    case Work::metadata: return "metadata only";
    case Work::rows: return "the rows it touches";
    case Work::scan: return "reads every row";
    case Work::build: return "builds an index";
    case Work::rewrite: return "writes every row";
  }
  return "";
}

Milliseconds estimate(Work work, const TableFacts& table) {
  constexpr double megabyte = 1e6;
  double seconds = 0.005;
  if (work == Work::scan) seconds += static_cast<double>(table.bytes) / (200 * megabyte);
  if (work == Work::build) seconds += static_cast<double>(table.bytes) / (40 * megabyte);
  if (work == Work::rewrite) seconds += static_cast<double>(table.all_bytes) / (60 * megabyte);
  return Milliseconds{static_cast<std::int64_t>(seconds * 1000)};
}

std::vector<Effect> effects_of(const Parsed& statement, const std::vector<Name>& created, const Tables& tables) {
  auto effects = raw_effects(statement, tables);
  std::erase_if(effects, [&](const Effect& effect) {
    return effect.table.empty() || std::find(created.begin(), created.end(), effect.table) != created.end();
  });
  return effects;
}

}  // namespace codops::migrate
