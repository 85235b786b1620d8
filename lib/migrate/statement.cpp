#include "lib/migrate/statement.hpp"

#include "lib/migrate/statement_alter.hpp"
#include "lib/migrate/statement_code.hpp"
#include "lib/migrate/words.hpp"

namespace codops::migrate {

namespace {

using Kind = Parsed::Kind;

void read_names(Words& words, Parsed& parsed) {
  do {
    parsed.if_exists = words.accept({"if", "exists"}) || parsed.if_exists;
    parsed.only = words.accept("only") || parsed.only;
    if (auto name = words.name(); !name.empty()) parsed.objects.push_back(std::move(name));
    if (words.is_text("*")) words.skip();
  } while (words.is_kind(Token::Kind::comma) && (words.skip(), true));
}

void create_index(Words& words, Parsed& parsed) {
  parsed.kind = Kind::create_index;
  parsed.concurrently = words.accept("concurrently");
  parsed.if_not_exists = words.accept({"if", "not", "exists"});
  if (!words.is("on")) parsed.objects.push_back(words.name());
  words.accept("on");
  parsed.only = words.accept("only");
  parsed.table = words.name();
}

void create_table(Words& words, Parsed& parsed) {
  parsed.kind = Kind::create_table;
  parsed.if_not_exists = words.accept({"if", "not", "exists"});
  parsed.objects.push_back(words.name());
  if (words.accept({"partition", "of"})) {
    parsed.partition_of = true;
    parsed.table = words.name();
  }
  read_table_items(words, parsed);
  parsed.as_query = words.skip_to("as");
}

void on_table(Words& words, Parsed& parsed, Kind kind) {
  parsed.kind = kind;
  parsed.if_exists = words.accept({"if", "exists"});
  parsed.objects.push_back(words.name());
  if (words.skip_to("on")) parsed.table = words.name();
}

void create(Words& words, Parsed& parsed) {
  parsed.or_replace = words.accept({"or", "replace"});
  words.accept("global");
  words.accept("local");
  parsed.temporary = words.accept("temporary") || words.accept("temp");
  words.accept("unlogged");
  const auto named = [&](Kind kind) {
    parsed.kind = kind;
    parsed.if_not_exists = words.accept({"if", "not", "exists"});
    parsed.objects.push_back(words.name());
  };
  if (words.accept({"unique", "index"})) {
    parsed.unique = true;
    create_index(words, parsed);
  } else if (words.accept("index")) {
    create_index(words, parsed);
  } else if (words.accept("table") || words.accept({"foreign", "table"})) {
    create_table(words, parsed);
  } else if (words.accept("view") || words.accept({"recursive", "view"})) {
    named(Kind::create_view);
  } else if (words.accept({"materialized", "view"})) {
    named(Kind::create_matview);
  } else if (words.accept("type")) {
    named(Kind::create_type);
  } else if (words.accept("domain")) {
    named(Kind::create_type);
    parsed.constrained = words.contains("check", words.at()) || words.contains("not", words.at());
  } else if (words.accept("statistics")) {
    parsed.kind = Kind::create_statistics;
    if (words.skip_to("from")) parsed.objects.push_back(words.name());
  } else if (words.accept("trigger") || words.accept({"constraint", "trigger"})) {
    on_table(words, parsed, Kind::create_trigger);
  } else if (words.accept("policy")) {
    on_table(words, parsed, Kind::create_policy);
  } else if (words.accept("rule")) {
    parsed.kind = Kind::create_rule;
    parsed.objects.push_back(words.name());
    if (words.skip_to("to")) parsed.table = words.name();
  } else if (words.accept("function") || words.accept("procedure")) {
    named(Kind::create_routine);
  } else if (words.accept("schema")) {
    named(Kind::create_schema);
  } else if (words.accept("sequence")) {
    named(Kind::create_sequence);
  } else if (words.accept("extension")) {
    named(Kind::create_extension);
  } else if (words.accept("database")) {
    named(Kind::database);
  } else if (words.accept("tablespace")) {
    named(Kind::tablespace);
  } else if (words.accept("subscription")) {
    named(Kind::subscription);
  } else {
    parsed.kind = Kind::create_other;
  }
}

void drop(Words& words, Parsed& parsed) {
  const auto listed = [&](Kind kind) {
    parsed.kind = kind;
    read_names(words, parsed);
    parsed.cascade = words.skip_to("cascade");
  };
  if (words.accept("table") || words.accept({"foreign", "table"})) listed(Kind::drop_table);
  else if (words.accept("index")) {
    parsed.concurrently = words.accept("concurrently");
    listed(Kind::drop_index);
  } else if (words.accept("view") || words.accept({"materialized", "view"})) listed(Kind::drop_view);
  else if (words.accept("type") || words.accept("domain")) listed(Kind::drop_type);
  else if (words.accept("function") || words.accept("procedure") || words.accept("routine") || words.accept("aggregate")) listed(Kind::drop_routine);
  else if (words.accept("schema")) listed(Kind::drop_schema);
  else if (words.accept("trigger")) on_table(words, parsed, Kind::drop_trigger);
  else if (words.accept("policy")) on_table(words, parsed, Kind::create_policy);
  else if (words.accept("database")) listed(Kind::database);
  else if (words.accept("tablespace")) listed(Kind::tablespace);
  else if (words.accept("subscription")) listed(Kind::subscription);
  else if (words.accept("extension")) listed(Kind::drop_extension);
  else if (words.accept({"owned", "by"})) listed(Kind::drop_owned);
  else {
    parsed.kind = Kind::drop_other;
    parsed.cascade = words.skip_to("cascade");
  }
}

void alter_type(Words& words, Parsed& parsed) {
  parsed.kind = Kind::alter_other;
  parsed.objects.push_back(words.name());
  if (words.accept({"add", "value"})) {
    parsed.kind = Kind::alter_type_add_value;
    parsed.if_not_exists = words.accept({"if", "not", "exists"});
    parsed.value = words.string_value();
  } else if (words.accept({"rename", "value"})) {
    parsed.kind = Kind::alter_type_rename_value;
    parsed.value = words.string_value();
  } else if (words.accept({"rename", "to"})) {
    parsed.kind = Kind::alter_type_rename;
  } else if (words.accept({"drop", "attribute"})) {
    parsed.kind = Kind::alter_type_drop_attribute;
    words.accept({"if", "exists"});
    parsed.value = words.identifier();
  }
}

// Its checks are made of every row of every table that has a column of it.
void alter_domain(Words& words, Parsed& parsed) {
  parsed.kind = Kind::alter_domain;
  parsed.objects.push_back(words.name());
  if (words.accept({"rename", "to"})) {
    parsed.kind = Kind::alter_type_rename;
    return;
  }
  Action action;
  if (words.is("add")) {
    action.kind = Action::Kind::add_check;
    action.not_valid = words.contains("valid", words.at());
  } else if (words.accept({"validate", "constraint"})) {
    action.kind = Action::Kind::validate_constraint;
    action.name = words.identifier();
  } else if (words.accept({"set", "not", "null"})) {
    action.kind = Action::Kind::set_not_null;
  }
  parsed.actions.push_back(std::move(action));
}

void alter_view(Words& words, Parsed& parsed) {
  parsed.kind = Kind::alter_view;
  parsed.if_exists = words.accept({"if", "exists"});
  parsed.objects.push_back(words.name());
  read_alter_actions(words, parsed);
}

void alter(Words& words, Parsed& parsed) {
  if (words.accept("table") || words.accept({"foreign", "table"})) {
    parsed.kind = Kind::alter_table;
    if (words.accept("all")) return;
    parsed.if_exists = words.accept({"if", "exists"});
    parsed.only = words.accept("only");
    parsed.objects.push_back(words.name());
    if (words.is_text("*")) words.skip();
    read_alter_actions(words, parsed);
  } else if (words.accept("type")) {
    alter_type(words, parsed);
  } else if (words.accept("domain")) {
    alter_domain(words, parsed);
  } else if (words.accept("view") || words.accept({"materialized", "view"})) {
    alter_view(words, parsed);
  } else if (words.accept("schema")) {
    parsed.kind = Kind::alter_other;
    parsed.objects.push_back(words.name());
    if (words.accept({"rename", "to"})) parsed.kind = Kind::alter_schema_rename;
  } else if (words.accept("trigger") || words.accept("policy") || words.accept("rule")) {
    on_table(words, parsed, Kind::create_policy);
  } else if (words.accept("index")) {
    parsed.kind = Kind::alter_index;
    if (words.accept("all")) return;
    parsed.if_exists = words.accept({"if", "exists"});
    parsed.objects.push_back(words.name());
    read_alter_actions(words, parsed);
  } else if (words.accept("system")) {
    parsed.kind = Kind::alter_system;
  } else if (words.accept("database")) {
    // Only SET TABLESPACE of these is refused in a transaction.
    parsed.kind = words.contains("tablespace") ? Kind::database : Kind::alter_other;
  } else if (words.accept("subscription")) {
    parsed.kind = words.contains("refresh") || words.contains("publication") ? Kind::subscription : Kind::alter_other;
  } else {
    parsed.kind = Kind::alter_other;
  }
}

// VACUUM (FULL, ANALYZE) a, b · REINDEX (CONCURRENTLY) TABLE a: options in either form.
void maintenance(Words& words, Parsed& parsed, Kind kind) {
  parsed.kind = kind;
  if (words.is_kind(Token::Kind::open)) {
    const auto begin = words.at();
    words.skip_parentheses();
    const auto end = words.at();
    for (words.move_to(begin); words.at() < end; words.skip()) {
      if (words.is("full")) parsed.full = true;
      if (words.is("concurrently")) parsed.concurrently = true;
    }
  }
  while (words.is("full") || words.is("freeze") || words.is("verbose") || words.is("analyze")) {
    parsed.full = words.is("full") || parsed.full;
    words.skip();
  }
  if (kind == Kind::reindex) {
    parsed.whole_database = words.is("database") || words.is("system") || words.is("schema");
    const bool table = words.is("table");
    words.skip();
    parsed.concurrently = words.accept("concurrently") || parsed.concurrently;
    (table ? parsed.table : parsed.objects.emplace_back()) = words.name();
    return;
  }
  if (!words.done()) read_names(words, parsed);
  parsed.whole_database = parsed.objects.empty();
}

void data_statement(Words& words, Parsed& parsed) {
  if (words.accept("insert")) {
    parsed.kind = Kind::insert;
    words.accept("into");
  } else if (words.accept("update")) {
    parsed.kind = Kind::update;
    parsed.only = words.accept("only");
  } else if (words.accept({"delete", "from"})) {
    parsed.kind = Kind::remove;
    parsed.only = words.accept("only");
  } else if (words.accept("merge")) {
    parsed.kind = Kind::merge;
    words.accept("into");
    parsed.only = words.accept("only");
    parsed.removes = words.contains("delete", words.at());
  } else if (words.accept("truncate")) {
    parsed.kind = Kind::truncate;
    words.accept("table");
    read_names(words, parsed);
    parsed.cascade = words.skip_to("cascade");
    return;
  } else if (words.accept("copy")) {
    parsed.kind = Kind::copy;
  }
  parsed.objects.push_back(words.name());
  parsed.from_query = parsed.kind == Kind::copy || (parsed.kind == Kind::insert && (words.contains("select", words.at()) || words.contains("table", words.at())));
  parsed.has_where = words.skip_to("where");
  // WHERE true, WHERE 1 = 1
  const bool always = (words.is("true") && !words.is_text("=", 1)) ||
                      (words.is_kind(Token::Kind::number) && words.is_text("=", 1) && words.is_text(words.text(), 2));
  const std::size_t behind = words.is("true") ? 1 : 3;
  if (parsed.has_where && always && (words.at() + behind >= words.tokens().size() || words.is("returning", behind))) parsed.everything = true;
  if (!parsed.has_where) parsed.everything = parsed.kind == Kind::update || parsed.kind == Kind::remove;
}

bool at_change(const Words& words) { return words.is("insert") || words.is("update") || words.is("delete") || words.is("merge"); }

// WITH a AS (DELETE FROM t …) SELECT …, and WITH … DELETE FROM t: whatever changes rows is a part of its own.
void with_statement(Words& words, Parsed& parsed) {
  parsed.kind = Kind::select;
  const auto part = [&](std::size_t from, std::size_t to) {
    const auto& tokens = words.tokens();
    parsed.parts.push_back(parse(words.sql().substr(tokens[from].begin, tokens[to - 1].end - tokens[from].begin)));
  };
  for (; !words.done(); words.skip()) {
    if (at_change(words)) return part(words.at(), words.tokens().size());
    if (words.is("select") || words.is("values")) return;
    if (!words.is_kind(Token::Kind::open)) continue;
    words.skip();
    const auto begin = words.at();
    const bool changes = at_change(words);
    words.move_to(begin - 1);
    words.skip_parentheses();
    // skip_parentheses() stops behind the parenthesis.
    if (changes && words.at() > begin + 1) part(begin, words.at() - 1);
    words.move_to(words.at() - 1);
  }
}

void read_set(Words& words, Parsed& parsed) {
  parsed.kind = Kind::set;
  if (words.accept("local")) parsed.kind = Kind::set_local;
  else words.accept("session");
  if (words.is("transaction") || words.is("characteristics") || words.is("constraints")) parsed.kind = Kind::set_transaction;
  parsed.value = words.name().shown();
}

void read_statement(Words& words, Parsed& parsed) {
  if (words.accept("create")) create(words, parsed);
  else if (words.accept("drop")) drop(words, parsed);
  else if (words.accept("alter")) alter(words, parsed);
  else if (words.is("insert") || words.is("update") || words.is("delete") || words.is("merge") || words.is("truncate") || words.is("copy")) data_statement(words, parsed);
  else if (words.accept("begin") || words.accept({"start", "transaction"})) parsed.kind = Kind::begin;
  else if (words.accept({"commit", "prepared"}) || words.accept({"rollback", "prepared"}) || words.accept({"prepare", "transaction"})) parsed.kind = Kind::prepared_transaction;
  else if (words.accept("commit") || words.accept("end")) parsed.kind = Kind::commit;
  else if (words.accept("rollback") || words.accept("abort")) {
    words.accept("work");
    words.accept("transaction");
    parsed.kind = words.is("to") ? Kind::savepoint : Kind::rollback;
  } else if (words.accept("savepoint") || words.accept("release")) parsed.kind = Kind::savepoint;
  else if (words.accept("set")) read_set(words, parsed);
  else if (words.accept("reset")) parsed.kind = Kind::reset;
  else if (words.accept("discard")) {
    parsed.kind = Kind::discard;
    parsed.whole_database = words.is("all");
  } else if (words.accept("vacuum")) maintenance(words, parsed, Kind::vacuum);
  else if (words.accept("cluster")) maintenance(words, parsed, Kind::cluster);
  else if (words.accept("analyze") || words.accept("analyse")) maintenance(words, parsed, Kind::analyze);
  else if (words.accept("reindex")) maintenance(words, parsed, Kind::reindex);
  else if (words.accept({"refresh", "materialized", "view"})) {
    parsed.kind = Kind::refresh_matview;
    parsed.concurrently = words.accept("concurrently");
    parsed.objects.push_back(words.name());
  } else if (words.accept("lock")) {
    parsed.kind = Kind::lock;
    words.accept("table");
    read_names(words, parsed);
    const bool mode = words.accept("in");
    while (mode && words.at_name() && !words.is("mode")) parsed.value += (parsed.value.empty() ? "" : " ") + words.identifier();
  } else if (words.accept("do")) read_do_block(words, parsed);
  else if (words.accept("call")) {
    parsed.kind = Kind::call;
    parsed.calls.push_back(words.name());
  } else if (words.accept("execute")) parsed.unseen = "a prepared statement";
  else if (words.accept("with")) {
    parsed.calls = free_calls(words);
    with_statement(words, parsed);
  } else if (words.accept("select") || words.accept("values")) {
    parsed.kind = Kind::select;
    parsed.calls = free_calls(words);
  }
  else if (words.accept("comment")) parsed.kind = Kind::comment;
  else if (words.accept("grant") || words.accept("revoke")) parsed.kind = Kind::grant;
}

}  // namespace

Parsed parse(std::string_view sql) {
  Parsed parsed;
  Words words{sql};
  read_statement(words, parsed);
  for (const auto& token : words.tokens()) {
    if (token.kind == Token::Kind::quoted_name || token.kind == Token::Kind::word) {
      if (token.end - token.begin > 63) {
        auto name = token.of(sql);
        if (name.front() == '"') name = name.substr(1, name.size() - 2);
        parsed.identifiers.emplace_back(name);
      }
    }
  }
  return parsed;
}

std::string outside_transaction_only(const Parsed& statement) {
  switch (statement.kind) {
    case Kind::create_index: return statement.concurrently ? "CREATE INDEX CONCURRENTLY" : "";
    case Kind::drop_index: return statement.concurrently ? "DROP INDEX CONCURRENTLY" : "";
    case Kind::reindex: return statement.concurrently ? "REINDEX CONCURRENTLY" : statement.whole_database ? "REINDEX of more than one table" : "";
    case Kind::vacuum: return "VACUUM";
    case Kind::cluster: return statement.whole_database ? "CLUSTER of all tables" : "";
    case Kind::alter_system: return "ALTER SYSTEM";
    case Kind::database: return "CREATE, DROP or ALTER DATABASE";
    case Kind::tablespace: return "CREATE or DROP TABLESPACE";
    case Kind::subscription: return "a SUBSCRIPTION statement";
    case Kind::prepared_transaction: return "a PREPARED transaction";
    case Kind::discard: return statement.whole_database ? "DISCARD ALL" : "";
    case Kind::alter_table:
      for (const auto& action : statement.actions) {
        if (action.kind == Action::Kind::detach_partition && action.concurrently) return "DETACH PARTITION CONCURRENTLY";
      }
      return "";
    default: return "";
  }
}

bool controls_transaction(const Parsed& statement) {
  return statement.kind == Kind::begin || statement.kind == Kind::commit || statement.kind == Kind::rollback ||
         statement.kind == Kind::prepared_transaction;
}

}  // namespace codops::migrate
