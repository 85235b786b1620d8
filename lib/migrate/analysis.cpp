#include "lib/migrate/analysis.hpp"

#include <algorithm>
#include <iterator>

#include "lib/migrate/words.hpp"

namespace codops::migrate {

namespace {

using Kind = Parsed::Kind;
using ActionKind = Action::Kind;

struct Change {
  Lock lock;
  Work work;
  std::string what;
};

bool among(const std::vector<std::string>& names, const std::string& name) { return std::find(names.begin(), names.end(), name) != names.end(); }

Change column_type_change(const Action& action, const TableFacts& table) {
  const auto old = table.column_types.find(action.name);
  const bool rewrites = action.computed || old == table.column_types.end() || type_change_rewrites(old->second, action.type);
  const bool builds = (action.collates && table.indexed) || among(table.reindexed, action.name);
  const auto work = rewrites ? Work::rewrite : builds ? Work::build : among(table.rechecked, action.name) ? Work::scan : Work::metadata;
  return {Lock::access_exclusive, work, "changes the type of \"" + action.name + "\" to " + action.type};
}

Change added_column(const Action& action, const Catalog& catalog) {
  const auto type = catalog.types.find(action.type_name.shown());
  const bool domain = type != catalog.types.end();
  const bool differs = std::any_of(action.calls.begin(), action.calls.end(), [&](const Name& name) { return !catalog.steady_functions.contains(name.shown()); }) ||
                       (domain && type->second.volatile_default && !action.has_default);
  const auto adds = "adds \"" + action.name + "\"";
  if (action.generated || differs) return {Lock::access_exclusive, Work::rewrite, adds + " with a value computed for every row"};
  if (domain && type->second.constrained) return {Lock::access_exclusive, Work::rewrite, adds + " of a domain that is checked"};
  if (action.primary_key || action.unique) return {Lock::access_exclusive, Work::build, adds + " with an index"};
  if (action.check) return {Lock::access_exclusive, Work::scan, adds + " with a check of every row"};
  // Without a default every row has NULL there, which refers to nothing.
  if (!action.references.empty() && action.has_default) return {Lock::access_exclusive, Work::scan, adds + " with a foreign key of every row"};
  return {Lock::access_exclusive, Work::metadata, adds};
}

Change change_of(const Action& action, const TableFacts& table, const Catalog& catalog) {
  const auto exclusive = [](Work work, std::string what) { return Change{Lock::access_exclusive, work, std::move(what)}; };
  switch (action.kind) {
    case ActionKind::add_column: return added_column(action, catalog);
    case ActionKind::drop_column: return exclusive(Work::metadata, "drops \"" + action.name + "\"");
    case ActionKind::column_type: return column_type_change(action, table);
    case ActionKind::set_not_null:
      return exclusive(among(table.checked_not_null, action.name) ? Work::metadata : Work::scan, "makes \"" + action.name + "\" NOT NULL");
    case ActionKind::add_check: return exclusive(action.not_valid ? Work::metadata : Work::scan, "adds a check");
    case ActionKind::add_foreign_key:
      return {Lock::share_row_exclusive, action.not_valid ? Work::metadata : Work::scan, "adds a foreign key to \"" + action.references.shown() + "\""};
    case ActionKind::add_unique: return exclusive(action.using_index ? Work::metadata : Work::build, "adds a unique constraint");
    case ActionKind::add_primary_key: {
      const bool known = catalog.not_null_indexes.contains(action.index.shown());
      return exclusive(!action.using_index ? Work::build : known ? Work::metadata : Work::scan, "adds a primary key");
    }
    case ActionKind::add_exclusion: return exclusive(Work::build, "adds an exclusion constraint");
    case ActionKind::validate_constraint: return {Lock::share_update_exclusive, Work::scan, "validates \"" + action.name + "\""};
    case ActionKind::attach_partition: return {Lock::share_update_exclusive, Work::metadata, "attaches \"" + action.references.shown() + "\""};
    case ActionKind::detach_partition:
      return {action.concurrently ? Lock::share_update_exclusive : Lock::access_exclusive, Work::metadata, "detaches \"" + action.references.shown() + "\""};
    case ActionKind::set_options: return {Lock::share_update_exclusive, Work::metadata, "sets options"};
    case ActionKind::trigger_state: return {Lock::share_row_exclusive, Work::metadata, "switches triggers"};
    case ActionKind::set_tablespace: return exclusive(Work::rewrite, "moves to another tablespace");
    case ActionKind::set_logged: return exclusive(Work::rewrite, "switches logging");
    case ActionKind::set_access_method: return exclusive(Work::rewrite, "moves to another access method");
    case ActionKind::set_schema: return exclusive(Work::metadata, "moves to the schema \"" + action.name + "\"");
    case ActionKind::rename_column: return exclusive(Work::metadata, "renames \"" + action.name + "\"");
    case ActionKind::rename_table: return exclusive(Work::metadata, "is renamed \"" + action.name + "\"");
    default: return exclusive(Work::metadata, "changes its definition");
  }
}

// What ALTER TABLE of a parent does to the parent only. Partitions follow in more than tables that inherit do.
bool stays_alone(const Action& action, const TableFacts& table) {
  switch (action.kind) {
    case ActionKind::set_tablespace:
    case ActionKind::set_logged:
    case ActionKind::set_access_method: return true;
    case ActionKind::add_unique:
    case ActionKind::add_primary_key:
    case ActionKind::add_exclusion:
    case ActionKind::add_foreign_key: return !table.partitioned;
    default: return false;
  }
}

const TableFacts& facts_of(const Catalog& catalog, const Name& name) {
  static const TableFacts none;
  const auto found = catalog.tables.find(name.shown());
  return found == catalog.tables.end() ? none : found->second;
}

// Foreign keys have triggers on both tables: who takes one away locks both.
void lost_foreign_keys(const Parsed& statement, const Action& action, const TableFacts& table, std::vector<Effect>& effects) {
  for (const auto& key : table.foreign_keys) {
    const bool lost = (action.kind == ActionKind::drop_constraint && key.name == action.name) ||
                      (action.kind == ActionKind::drop_column && among(key.columns, action.name));
    if (lost) effects.push_back({key.references, Lock::access_exclusive, Work::metadata, "is no longer referenced by \"" + statement.object().shown() + "\""});
  }
}

// A column with another type has its foreign keys made and, unless its rows stay as they are, checked again, on both sides.
void retyped_keys(const Parsed& statement, const Action& action, const TableFacts& table, std::vector<Effect>& effects) {
  const auto own = table.column_types.find(action.name);
  const bool checked = own == table.column_types.end() || type_change_rewrites(own->second, action.type);
  const auto& name = statement.object().shown();
  for (const auto& key : table.foreign_keys) {
    if (among(key.columns, action.name)) effects.push_back({key.references, Lock::access_exclusive, Work::metadata, "is referenced by \"" + name + "\", anew"});
  }
  for (const auto& key : table.referenced_by) {
    if (among(key.columns, action.name)) effects.push_back({key.references, Lock::access_exclusive, checked ? Work::scan : Work::metadata, "refers to \"" + name + "\", anew"});
  }
}

void beside(const Parsed& statement, const Action& action, const TableFacts& table, std::vector<Effect>& effects) {
  const auto add = [&](const Name& name, Lock lock, Work work, const std::string& what) {
    if (!name.empty()) effects.push_back({name, lock, work, what});
  };
  lost_foreign_keys(statement, action, table, effects);
  if (action.cascade) {
    for (const auto& other : table.referencing) add(other, Lock::access_exclusive, Work::metadata, "may lose its foreign key to \"" + statement.object().shown() + "\"");
  }
  switch (action.kind) {
    case ActionKind::add_foreign_key:
    case ActionKind::add_column:
      add(action.references, Lock::share_row_exclusive, Work::metadata, "is referenced by \"" + statement.object().shown() + "\"");
      break;
    case ActionKind::attach_partition:
      // It gets the indexes that it lacks.
      add(action.references, Lock::access_exclusive, table.indexed ? Work::build : Work::scan, "is checked against its bounds");
      add(table.default_partition, Lock::access_exclusive, Work::scan, "is read for rows of the new partition");
      break;
    case ActionKind::detach_partition:
      add(action.references, Lock::access_exclusive, Work::metadata, "is detached");
      add(table.default_partition, Lock::access_exclusive, Work::metadata, "has other bounds");
      break;
    case ActionKind::column_type: retyped_keys(statement, action, table, effects); break;
    case ActionKind::inherit: add(action.references, Lock::share_update_exclusive, Work::metadata, "is inherited from"); break;
    default: break;
  }
}

void alter_table_effects(const Parsed& statement, const Catalog& catalog, std::vector<Effect>& effects) {
  auto table = facts_of(catalog, statement.object());
  // Constraints go first: a check that is dropped in the same statement proves nothing.
  const bool drops = std::any_of(statement.actions.begin(), statement.actions.end(), [](const Action& action) { return action.kind == ActionKind::drop_constraint; });
  if (drops) table.checked_not_null.clear();
  // One statement takes the strongest lock that any of its parts needs, and does all of their work under it.
  Effect whole{statement.object(), Lock::none, Work::metadata, {}, true};
  for (const auto& action : statement.actions) {
    auto change = change_of(action, table, catalog);
    whole.lock = std::max(whole.lock, change.lock);
    if (change.work > whole.work || whole.what.empty()) whole.what = std::move(change.what);
    whole.work = std::max(whole.work, change.work);
    whole.alone = whole.alone && stays_alone(action, table);
    beside(statement, action, table, effects);
  }
  if (whole.lock == Lock::none) whole.lock = Lock::access_exclusive;
  whole.alone = whole.alone || statement.only;
  effects.insert(effects.begin(), std::move(whole));
}

void drop_table_effects(const Parsed& statement, const Catalog& catalog, std::vector<Effect>& effects) {
  for (const auto& name : statement.objects) {
    effects.push_back({name, Lock::access_exclusive, Work::metadata, "is dropped"});
    const auto& table = facts_of(catalog, name);
    if (!table.parent.empty()) {
      effects.push_back({table.parent, Lock::access_exclusive, Work::metadata, "loses a partition", true});
      effects.push_back({table.default_partition, Lock::access_exclusive, Work::metadata, "has other bounds"});
    }
    for (const auto& key : table.foreign_keys) effects.push_back({key.references, Lock::access_exclusive, Work::metadata, "is no longer referenced by \"" + name.shown() + "\""});
    if (!statement.cascade) continue;
    for (const auto& other : table.referencing) effects.push_back({other, Lock::access_exclusive, Work::metadata, "loses its foreign key to \"" + name.shown() + "\""});
  }
}

void create_table_effects(const Parsed& statement, const Catalog& catalog, std::vector<Effect>& effects) {
  for (const auto& action : statement.actions) {
    if (!action.references.empty() && !(action.references == statement.object())) {
      effects.push_back({action.references, Lock::share_row_exclusive, Work::metadata, "is referenced by \"" + statement.object().shown() + "\""});
    }
  }
  if (!statement.partition_of) return;
  effects.push_back({statement.table, Lock::access_exclusive, Work::metadata, "gets a partition"});
  effects.push_back({facts_of(catalog, statement.table).default_partition, Lock::access_exclusive, Work::scan, "is read for rows of the new partition"});
}

void domain_effects(const Parsed& statement, const Catalog& catalog, std::vector<Effect>& effects) {
  const auto type = catalog.types.find(statement.object().shown());
  if (type == catalog.types.end()) return;
  for (const auto& action : statement.actions) {
    if (action.kind == ActionKind::other || action.not_valid) continue;
    for (const auto& name : type->second.tables) effects.push_back({name, Lock::share, Work::scan, "is checked for the domain \"" + statement.object().shown() + "\""});
  }
}

Lock lock_mode(const std::string& mode) {
  for (auto lock = Lock::access_share; lock <= Lock::access_exclusive; lock = static_cast<Lock>(static_cast<std::uint8_t>(lock) + 1)) {
    if (lower_case(name_of(lock)) == mode) return lock;
  }
  return Lock::access_exclusive;
}

std::vector<Effect> raw_effects(const Parsed& statement, const Catalog& catalog) {
  std::vector<Effect> effects;
  const auto each = [&](Lock lock, Work work, const std::string& what) {
    for (const auto& name : statement.objects) effects.push_back({name, lock, work, what, statement.only});
  };
  // Tables that inherit are not followed, partitions are.
  const auto with_partitions = [&](const Name& name) { return statement.only || !facts_of(catalog, name).partitioned; };
  switch (statement.kind) {
    case Kind::create_index:
      effects.push_back({statement.table, statement.concurrently ? Lock::share_update_exclusive : Lock::share, Work::build,
                         "builds the index \"" + statement.object().name + "\"", with_partitions(statement.table)});
      break;
    case Kind::drop_index:
      effects.push_back({statement.table, statement.concurrently ? Lock::share_update_exclusive : Lock::access_exclusive, Work::metadata,
                         "drops the index \"" + statement.object().shown() + "\""});
      break;
    case Kind::reindex: {
      const auto& name = statement.table.empty() ? statement.object() : statement.table;
      effects.push_back({name, statement.concurrently ? Lock::share_update_exclusive : Lock::share, Work::build, "rebuilds indexes", with_partitions(name)});
      break;
    }
    case Kind::alter_index: {
      const bool moves = std::any_of(statement.actions.begin(), statement.actions.end(), [](const Action& action) { return action.kind == ActionKind::set_tablespace; });
      const bool light = std::all_of(statement.actions.begin(), statement.actions.end(), [](const Action& action) {
        return action.kind == ActionKind::set_options || action.kind == ActionKind::rename_table;
      });
      each(light ? Lock::share_update_exclusive : Lock::access_exclusive, moves ? Work::rewrite : Work::metadata, "is changed, an index");
      break;
    }
    case Kind::create_table: create_table_effects(statement, catalog, effects); break;
    case Kind::drop_table: drop_table_effects(statement, catalog, effects); break;
    case Kind::truncate:
      each(Lock::access_exclusive, Work::metadata, "is emptied");
      if (!statement.cascade) break;
      for (const auto& name : statement.objects) {
        for (const auto& other : facts_of(catalog, name).emptied_along) effects.push_back({other, Lock::access_exclusive, Work::metadata, "is emptied along with \"" + name.shown() + "\""});
      }
      break;
    case Kind::alter_table: alter_table_effects(statement, catalog, effects); break;
    case Kind::alter_view: each(Lock::access_exclusive, Work::metadata, "is changed"); break;
    case Kind::alter_domain: domain_effects(statement, catalog, effects); break;
    case Kind::create_trigger: effects.push_back({statement.table, Lock::share_row_exclusive, Work::metadata, "gets a trigger"}); break;
    case Kind::drop_trigger: effects.push_back({statement.table, Lock::access_exclusive, Work::metadata, "loses a trigger"}); break;
    case Kind::create_policy:
    case Kind::create_rule: effects.push_back({statement.table, Lock::access_exclusive, Work::metadata, "gets or loses a rule"}); break;
    case Kind::create_statistics: each(Lock::share_update_exclusive, Work::metadata, "gets statistics"); break;
    case Kind::vacuum:
      for (const auto& name : statement.objects) {
        effects.push_back({name, statement.full ? Lock::access_exclusive : Lock::share_update_exclusive, statement.full ? Work::rewrite : Work::scan, "is vacuumed", with_partitions(name)});
      }
      break;
    case Kind::cluster: each(Lock::access_exclusive, Work::rewrite, "is clustered"); break;
    case Kind::analyze: each(Lock::share_update_exclusive, Work::metadata, "is analysed"); break;
    case Kind::refresh_matview: each(statement.concurrently ? Lock::exclusive : Lock::access_exclusive, Work::rewrite, "is computed again"); break;
    case Kind::drop_view: each(Lock::access_exclusive, Work::metadata, "is dropped"); break;
    case Kind::lock: each(lock_mode(statement.value), Work::metadata, "is locked"); break;
    case Kind::update: each(Lock::row_exclusive, statement.everything ? Work::rewrite : Work::rows, "rows are changed"); break;
    case Kind::remove: each(Lock::row_exclusive, statement.everything ? Work::scan : Work::rows, "rows are deleted"); break;
    case Kind::insert:
    case Kind::copy: each(Lock::row_exclusive, Work::rows, "rows are added"); break;
    case Kind::merge: each(Lock::row_exclusive, Work::rows, statement.removes ? "rows are changed and deleted" : "rows are changed"); break;
    default: break;
  }
  for (const auto& part : statement.parts) {
    auto more = raw_effects(part, catalog);
    effects.insert(effects.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  }
  return effects;
}

// One condition, or several with AND, each in parentheses of its own.
void collect_not_null(Words words, std::size_t end, std::vector<std::string>& columns) {
  while (words.is_kind(Token::Kind::open)) {
    auto behind = words;
    behind.skip_parentheses();
    if (behind.at() != end) break;
    words.skip();
    --end;
  }
  std::vector<std::size_t> starts{words.at()};
  for (auto look = words; look.at() < end;) {
    if (look.is("or")) return;
    if (look.is("and")) starts.push_back(look.at() + 1);
    if (look.is_kind(Token::Kind::open)) look.skip_parentheses();
    else look.skip();
  }
  for (std::size_t i = 0; i < starts.size(); ++i) {
    const auto until = i + 1 < starts.size() ? starts[i + 1] - 1 : end;
    words.move_to(starts[i]);
    if (starts.size() > 1 && words.is_kind(Token::Kind::open)) {
      collect_not_null(words, until, columns);
    } else if (until - starts[i] == 4 && words.at_name() && words.is("is", 1) && words.is("not", 2) && words.is("null", 3)) {
      columns.push_back(words.identifier());
    }
  }
}

}  // namespace

std::vector<std::string> columns_not_null_by(std::string_view check) {
  std::vector<std::string> columns;
  const Words words{check};
  collect_not_null(words, words.tokens().size(), columns);
  return columns;
}

std::string unseen_in(const Parsed& statement, const Catalog& catalog) {
  if (!statement.unseen.empty()) return statement.unseen;
  for (const auto& name : statement.calls) {
    if (!catalog.steady_functions.contains(name.shown())) return "calls " + name.shown() + "()";
  }
  return {};
}

TableFacts alone(TableFacts table) {
  table.rows = table.own_rows;
  table.bytes = table.own_bytes;
  table.all_bytes = table.own_all_bytes;
  table.tables_below = 0;
  return table;
}

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

std::vector<Effect> effects_of(const Parsed& statement, const std::vector<Name>& created, const Catalog& catalog) {
  auto effects = raw_effects(statement, catalog);
  std::erase_if(effects, [&](const Effect& effect) {
    return effect.table.empty() || std::find(created.begin(), created.end(), effect.table) != created.end();
  });
  return effects;
}

}  // namespace codops::migrate
