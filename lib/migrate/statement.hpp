#pragma once
// What a statement does to the schema, as far as locks, transactions and lint rules need to know. Reads tokens, not the
// whole grammar: what it doesn't know is Kind::other.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/migrate/lexer.hpp"

namespace codops::migrate {

struct Name {
  std::string schema;  // empty: by the search_path
  std::string name;    // as the catalog has it: unquoted names in lower case
  bool empty() const { return name.empty(); }
  std::string shown() const { return schema.empty() ? name : schema + "." + name; }
  bool operator==(const Name&) const = default;
};

// One part of ALTER TABLE, or one column or constraint of CREATE TABLE.
struct Action {
  enum class Kind : std::uint8_t {
    other, add_column, drop_column, column_type, set_default, drop_default, set_not_null, drop_not_null, add_check, add_foreign_key,
    add_unique, add_primary_key, add_exclusion, drop_constraint, validate_constraint, rename_column, rename_table,
    rename_constraint, set_schema, attach_partition, detach_partition, inherit, set_options, set_tablespace, set_logged, set_access_method,
    trigger_state, owner, row_security,
  };
  Kind kind{Kind::other};
  std::string name;  // of the column or constraint; the new schema
  std::string type;  // lower case, one space between words: "varchar(20)", "json"
  Name type_name;    // its first word or words, as the catalog has them: to look for a domain
  Name references;
  Name index;                // of USING INDEX
  std::vector<Name> calls;   // functions in the default that aren't known as steady
  bool not_valid{false}, using_index{false}, concurrently{false}, if_exists{false}, cascade{false};
  bool has_default{false}, volatile_default{false}, not_null{false}, unique{false}, primary_key{false}, check{false};
  bool collates{false};   // ALTER … TYPE … COLLATE
  bool computed{false};   // ALTER … TYPE … USING something else than the column as it is
  bool generated{false};  // GENERATED … STORED, or an identity or serial column: every row is written
};

struct Parsed {
  enum class Kind : std::uint8_t {
    other, begin, commit, rollback, savepoint, set, reset, set_local, set_transaction, insert, update, remove, copy, merge, select, truncate, call, do_block,
    create_table, drop_table, alter_table, create_index, drop_index, alter_index, reindex, create_view, drop_view, create_matview, refresh_matview,
    create_trigger, drop_trigger, create_type, alter_type_add_value, alter_type_rename_value, alter_type_rename, drop_type, create_routine, drop_routine,
    create_schema, drop_schema, create_sequence, create_extension, create_policy, create_rule, vacuum, cluster, analyze, comment, grant, lock,
    drop_owned, drop_extension, alter_domain, alter_type_drop_attribute, alter_view, alter_schema_rename, create_statistics, alter_system, database, tablespace, subscription, prepared_transaction, discard, alter_other, create_other, drop_other,
  };
  Kind kind{Kind::other};
  std::vector<Name> objects;  // tables for most; the index for create_index and reindex; the type for types
  Name table;                 // of an index, a trigger, a policy, a rule; REINDEX TABLE
  std::vector<Action> actions;
  std::vector<std::string> identifiers;  // every name that is written, unfolded: for the length rule
  std::string value;                     // of an enum; of SET: the parameter's name; of LOCK: the mode, in lower case
  bool concurrently{false}, if_exists{false}, if_not_exists{false}, unique{false}, cascade{false}, full{false};
  std::vector<Parsed> parts;             // of WITH: the statements in it that change rows; of DO: the plain ones in its block
  std::size_t offset{};                  // of a part of DO, from the statement's begin
  std::string unseen;                    // what else it runs that can't be read from it: "EXECUTE in a DO block"
  std::vector<Name> calls;               // functions that may do anything
  bool constrained{false};               // CREATE DOMAIN with CHECK or NOT NULL
  bool from_query{false};                // INSERT of what a query finds, COPY: how many rows can't be known
  bool everything{false};                // UPDATE or DELETE whose WHERE is always true
  bool removes{false};                   // MERGE with a DELETE
  bool partition_of{false}, whole_database{false}, has_where{false}, only{false}, temporary{false}, or_replace{false}, as_query{false};

  Name object() const { return objects.empty() ? Name{} : objects.front(); }
};

Parsed parse(std::string_view sql);

// Why the server refuses the statement inside a transaction block ("CREATE INDEX CONCURRENTLY"); empty when it does not.
std::string outside_transaction_only(const Parsed& statement);
// What of the statement reaches beyond the database that it runs in ("CREATE ROLE"): roles and their members, other databases, the
// server's settings and files, subscriptions. Empty: nothing, as far as can be read from it.
std::string beyond_database(std::string_view sql);
// BEGIN, COMMIT, ROLLBACK and their like; not SAVEPOINT, not ROLLBACK TO.
bool controls_transaction(const Parsed& statement);

}  // namespace codops::migrate
