#include "lib/migrate/statement_alter.hpp"

#include <algorithm>
#include <array>

namespace codops::migrate {

namespace {

using Alter = Action::Kind;

// Functions that PostgreSQL marks as stable or immutable and that people use as defaults, and words that stand before a
// parenthesis; anything else called there may be volatile, and then every row is written.
constexpr std::array<std::string_view, 40> steady_functions{
    "now", "current_timestamp", "current_date", "current_time", "localtime", "localtimestamp", "transaction_timestamp", "statement_timestamp",
    "current_user", "session_user", "array", "coalesce", "nullif", "greatest", "least", "lower", "upper", "row", "cast", "extract", "date_trunc",
    "and", "or", "not", "in", "when", "then", "else", "varchar", "varying", "numeric", "decimal", "char", "character", "bit", "timestamp",
    "timestamptz", "time", "timetz", "interval"};

std::vector<Name> calls_in(Words words, std::size_t end) {
  std::vector<Name> calls;
  while (!words.done() && words.at() < end) {
    if (!words.at_name()) {
      words.skip();
      continue;
    }
    const bool quoted = words.is_kind(Token::Kind::quoted_name);
    auto called = words.name();
    if (!words.is_text("(")) continue;
    const bool steady = !quoted && std::find(steady_functions.begin(), steady_functions.end(), called.name) != steady_functions.end();
    if (!steady) calls.push_back(std::move(called));
  }
  return calls;
}

// What follows a column's type, up to the item's end.
void read_column_constraints(Words& words, Action& action) {
  while (!words.done() && !words.is_kind(Token::Kind::comma) && !words.is_kind(Token::Kind::close)) {
    if (words.accept("default")) {
      action.has_default = true;
      const auto begin = words.at();
      while (!words.done() && !words.is_kind(Token::Kind::comma) && !words.is_kind(Token::Kind::close) && !words.is("not") &&
             !words.is("constraint") && !words.is("primary") && !words.is("unique") && !words.is("check") && !words.is("references") &&
             !words.is("generated") && !(words.is("null") && words.at() > begin)) {
        if (words.is_kind(Token::Kind::open)) words.skip_parentheses();
        else words.skip();
      }
      const auto end = words.at();
      words.move_to(begin);
      action.calls = calls_in(words, end);
      action.volatile_default = !action.calls.empty();
      words.move_to(end);
    } else if (words.accept({"not", "null"})) {
      action.not_null = true;
    } else if (words.accept({"primary", "key"})) {
      action.primary_key = true;
    } else if (words.accept("unique")) {
      action.unique = true;
    } else if (words.accept("check")) {
      action.check = true;
    } else if (words.accept("references")) {
      action.references = words.name();
    } else if (words.accept("generated")) {
      action.generated = true;
    } else if (words.accept("virtual")) {
      action.generated = false;
    } else if (words.is_kind(Token::Kind::open)) {
      words.skip_parentheses();
    } else {
      words.skip();
    }
  }
  if (action.type == "serial" || action.type == "bigserial" || action.type == "smallserial" || action.type == "serial4" ||
      action.type == "serial8") {
    action.generated = true;
  }
}

Action table_constraint(Words& words) {
  Action action;
  if (words.accept("constraint")) action.name = words.identifier();
  const auto begin = words.at();
  if (words.accept("check")) action.kind = Alter::add_check;
  else if (words.accept({"foreign", "key"})) action.kind = Alter::add_foreign_key;
  else if (words.accept("unique")) action.kind = Alter::add_unique;
  else if (words.accept({"primary", "key"})) action.kind = Alter::add_primary_key;
  else if (words.accept("exclude")) action.kind = Alter::add_exclusion;
  while (!words.done() && !words.is_kind(Token::Kind::comma) && !words.is_kind(Token::Kind::close)) {
    if (words.accept("references")) action.references = words.name();
    else if (words.accept({"not", "valid"})) action.not_valid = true;
    else if (words.accept({"using", "index"})) {
      // USING INDEX TABLESPACE only says where the new index goes.
      action.using_index = !words.is("tablespace");
      if (action.using_index) action.index = words.name();
    } else if (words.is_kind(Token::Kind::open)) words.skip_parentheses();
    else words.skip();
  }
  if (words.at() == begin) words.skip();
  return action;
}

bool starts_constraint(const Words& words) {
  return words.is("constraint") || words.is("check") || (words.is("foreign") && words.is("key", 1)) || words.is("unique") ||
         (words.is("primary") && words.is("key", 1)) || words.is("exclude");
}

void read_type(Words& words, Action& action) {
  const auto begin = words.at();
  action.type_name = words.name();
  words.move_to(begin);
  action.type = words.type();
}

Action column(Words& words) {
  Action action;
  action.kind = Alter::add_column;
  action.if_exists = words.accept({"if", "not", "exists"});
  action.name = words.identifier();
  read_type(words, action);
  read_column_constraints(words, action);
  return action;
}

// USING column, and USING column::type with the new type, say no more than the type itself.
bool computes(Words& words, const Action& action) {
  if (words.identifier() != action.name) return true;
  if (words.is_text(":") && words.is_text(":", 1)) {
    words.skip();
    words.skip();
    if (words.type() != action.type) return true;
  }
  return !words.done() && !words.is_kind(Token::Kind::comma);
}

Action altered_column(Words& words) {
  Action action;
  action.name = words.identifier();
  if (words.accept({"set", "data", "type"}) || words.accept("type")) {
    action.kind = Alter::column_type;
    read_type(words, action);
    action.collates = words.accept("collate");
    if (action.collates) words.name();
    if (words.accept("using")) action.computed = computes(words, action);
  } else if (words.accept({"set", "not", "null"})) {
    action.kind = Alter::set_not_null;
  } else if (words.accept({"drop", "not", "null"})) {
    action.kind = Alter::drop_not_null;
  } else if (words.accept({"set", "default"})) {
    action.kind = Alter::set_default;
  } else if (words.accept({"drop", "default"})) {
    action.kind = Alter::drop_default;
  } else if (words.is("set") && (words.is("statistics", 1) || words.is_text("(", 1))) {
    action.kind = Alter::set_options;
  } else if (words.accept({"set", "expression"})) {
    action.kind = Alter::column_type;  // computed anew for every row
    action.computed = true;
    action.type = "another expression";
  }
  return action;
}

Action dropped(Words& words) {
  Action action;
  if (words.accept("constraint")) {
    action.kind = Alter::drop_constraint;
  } else {
    words.accept("column");
    action.kind = Alter::drop_column;
  }
  action.if_exists = words.accept({"if", "exists"});
  action.name = words.identifier();
  action.cascade = words.accept("cascade");
  return action;
}

Action renamed(Words& words) {
  Action action;
  if (words.accept("to")) {
    action.kind = Alter::rename_table;
    action.name = words.identifier();
    return action;
  }
  action.kind = Alter::rename_column;
  if (words.accept("constraint")) action.kind = Alter::rename_constraint;
  else words.accept("column");
  action.name = words.identifier();
  return action;
}

Action one_action(Words& words) {
  Action action;
  if (words.accept("add")) {
    if (starts_constraint(words)) return table_constraint(words);
    words.accept("column");
    return column(words);
  }
  if (words.accept("drop")) return dropped(words);
  if (words.accept("alter")) {
    if (words.accept("constraint")) return action;
    words.accept("column");
    return altered_column(words);
  }
  if (words.accept("rename")) return renamed(words);
  if (words.accept({"validate", "constraint"})) {
    action.kind = Alter::validate_constraint;
    action.name = words.identifier();
  } else if (words.accept({"attach", "partition"})) {
    action.kind = Alter::attach_partition;
    action.references = words.name();
  } else if (words.accept({"detach", "partition"})) {
    action.kind = Alter::detach_partition;
    action.references = words.name();
    action.concurrently = words.accept("concurrently");
  } else if (words.accept({"set", "schema"})) {
    action.kind = Alter::set_schema;
    action.name = words.identifier();
  } else if (words.accept({"set", "access", "method"})) {
    action.kind = Alter::set_access_method;
  } else if (words.accept("inherit") || words.accept({"no", "inherit"})) {
    action.kind = Alter::inherit;
    action.references = words.name();
  } else if (words.accept({"cluster", "on"}) || words.accept({"set", "without", "cluster"})) {
    action.kind = Alter::set_options;
  } else if (words.accept({"set", "tablespace"})) {
    action.kind = Alter::set_tablespace;
  } else if (words.accept({"set", "logged"}) || words.accept({"set", "unlogged"})) {
    action.kind = Alter::set_logged;
  } else if (words.accept("owner")) {
    action.kind = Alter::owner;
  } else if ((words.is("enable") || words.is("disable")) && (words.is("trigger", 1) || words.is("trigger", 2))) {
    action.kind = Alter::trigger_state;
  } else if (words.contains("row", words.at()) && words.contains("security", words.at())) {
    action.kind = Alter::row_security;
  } else if ((words.is("set") || words.is("reset")) && words.is_text("(", 1)) {
    action.kind = Alter::set_options;
  }
  return action;
}

}  // namespace

void read_alter_actions(Words& words, Parsed& parsed) {
  do {
    parsed.actions.push_back(one_action(words));
  } while (words.skip_item());
}

void read_table_items(Words& words, Parsed& parsed) {
  if (!words.is_kind(Token::Kind::open)) return;
  words.skip();
  while (!words.done() && !words.is_kind(Token::Kind::close)) {
    if (starts_constraint(words)) parsed.actions.push_back(table_constraint(words));
    else if (words.is("like")) words.skip();
    else if (words.at_name()) parsed.actions.push_back(column(words));
    else words.skip();
    words.skip_item();
  }
}

}  // namespace codops::migrate
