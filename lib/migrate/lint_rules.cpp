#include <algorithm>

#include "lib/base/failure.hpp"
#include "lib/migrate/lint.hpp"

namespace codops::migrate {

const std::vector<Rule>& lint_rules() {
  using S = Severity;
  static const std::vector<Rule> rules{
      {"index-not-concurrent", S::error, "building an index blocks every write to the table until it is done", "CREATE INDEX CONCURRENTLY, in a file of its own"},
      {"drop-index-not-concurrent", S::warning, "dropping an index waits for, and then blocks, every query on the table", "DROP INDEX CONCURRENTLY, in a file of its own"},
      {"reindex-not-concurrent", S::error, "REINDEX blocks every write to the table", "REINDEX INDEX CONCURRENTLY"},
      {"concurrent-in-transaction", S::error, "CONCURRENTLY is refused inside a transaction; in one message with other statements Prisma up to 7.3 fails on it", "put it into a file of its own, without BEGIN"},
      {"concurrent-if-not-exists", S::warning, "IF NOT EXISTS also skips the invalid index that a failed concurrent build left behind", "leave IF NOT EXISTS out; codops drops invalid indexes and builds them again"},
      {"transaction-nesting", S::error, "a second BEGIN does nothing, and the first COMMIT ends everything", "one BEGIN … COMMIT, or none: a file runs in a transaction anyway"},
      {"transaction-control", S::warning, "with its own BEGIN or COMMIT a file can't be recorded in the same transaction", "take BEGIN and COMMIT out"},
      {"constraint-not-valid", S::error, "checking every row happens under a lock that blocks reads and writes", "ADD CONSTRAINT … NOT VALID, then VALIDATE CONSTRAINT in a later file"},
      {"foreign-key", S::error, "a foreign key checks every row while writes to both tables are blocked", "ADD CONSTRAINT … NOT VALID, then VALIDATE CONSTRAINT in a later file"},
      {"volatile-default", S::error, "a default that differs by row writes the whole table under a lock that blocks reads and writes", "add the column without it, set the default, fill old rows in batches"},
      {"generated-column", S::error, "a stored generated, identity or serial column writes the whole table under a lock that blocks reads and writes", "add a plain column, keep it filled by a trigger, fill old rows in batches"},
      {"not-null", S::error, "SET NOT NULL reads every row under a lock that blocks reads and writes", "ADD CHECK (column IS NOT NULL) NOT VALID; VALIDATE; then SET NOT NULL, which trusts the check"},
      {"required-field", S::error, "a NOT NULL column without a default fails as soon as the table has a row, and breaks inserts of the running version", "add it with a default, or nullable first"},
      {"column-type", S::error, "most type changes write the whole table under a lock that blocks reads and writes, and the running version may not read the new type", "add a new column, fill it, switch, drop the old one"},
      {"rename-column", S::error, "the version that is still running uses the old name", "add a new column, write both, switch reads, drop the old one"},
      {"rename-table", S::error, "the version that is still running uses the old name", "rename it and create a view of the old name"},
      {"rename-enum", S::error, "the version that is still running uses the old name", "add the new value, move the rows, stop using the old one"},
      {"drop-column", S::warning, "the version that is still running reads it, and the data is gone", "drop it one release after nothing uses it any more"},
      {"drop-table", S::warning, "the version that is still running reads it, and the data is gone", "drop it one release after nothing uses it any more"},
      {"drop-schema", S::warning, "the version that is still running reads what is in it, and the data is gone", "drop it one release after nothing uses it any more"},
      {"drop-type", S::warning, "the version that is still running uses it, and CASCADE takes columns along", "drop it one release after nothing uses it any more"},
      {"drop-owned", S::warning, "what is dropped depends on the database, not on the file, and its data is gone", "name what is to be dropped"},
      {"table-rewrite", S::error, "it writes the whole table under a lock that blocks reads and writes", "in a quiet hour; to shrink a table plain VACUUM, or pg_repack"},
      {"drop-extension", S::warning, "its functions and types go, and CASCADE takes columns with their data along", "drop it one release after nothing uses it any more"},
      {"drop-view", S::warning, "the version that is still running reads it", "drop it one release after nothing uses it any more; to change it CREATE OR REPLACE VIEW"},
      {"drop-cascade", S::warning, "what goes along depends on the database, not on the file", "name what is to be dropped"},
      {"drop-attribute", S::warning, "the version that is still running reads it, and the data is gone", "drop it one release after nothing uses it any more"},
      {"validate-in-transaction", S::error, "the transaction still holds the lock under which it altered the table, and VALIDATE reads every row under it", "VALIDATE CONSTRAINT in a later file"},
      {"domain-constraint", S::error, "every row of every table with a column of the domain is read while writes are blocked", "ADD CONSTRAINT … NOT VALID, then VALIDATE in a quiet hour"},
      {"domain-column", S::error, "a new column of a domain with a check writes the whole table under a lock that blocks reads and writes", "add it with the domain's base type and a CHECK … NOT VALID"},
      {"attach-partition", S::warning, "the new partition, and the default one, are read under a lock that blocks reads and writes", "before: ADD CHECK (its bounds) NOT VALID, then VALIDATE; ATTACH trusts the check"},
      {"lock-table", S::warning, "everyone else waits until the end of the transaction", "leave it out: statements take the locks that they need"},
      {"refresh-not-concurrent", S::warning, "the view can't be read until it is computed again", "REFRESH MATERIALIZED VIEW CONCURRENTLY, which needs a unique index on it"},
      {"unseen-code", S::warning, "what a function or text put together at run time locks, rewrites or deletes can't be read from the file", "plain statements; or look it up, and allow the rule with what was found"},
      {"drop-not-null", S::note, "the version that is still running may not expect NULL", "make sure that every reader takes NULL first"},
      {"drop-database", S::error, "a migration must not drop a database", "take it out"},
      {"truncate", S::warning, "all rows are gone, and CASCADE reaches other tables", "delete what is meant, in batches"},
      {"unique-constraint", S::error, "the index of a unique constraint is built under a lock that blocks reads and writes", "CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT … USING INDEX"},
      {"exclusion-constraint", S::warning, "its index is built under a lock that blocks reads and writes, and there is no way around it", "run it in a quiet hour"},
      {"backfill-with-ddl", S::warning, "changing rows in the transaction that holds a table's lock keeps everyone out for as long as that takes", "put the rows into a file of their own, in batches"},
      {"update-without-where", S::warning, "every row is written and locked in one go", "update in batches"},
      {"merge-delete", S::warning, "which rows go depends on the source, and they are locked in one go", "delete what is meant by key, in batches"},
      {"enum-value-used", S::warning, "a value added to an enum can't be used in the transaction that adds it (55P04)", "use it in a later file; codops runs this one statement by statement"},
      {"json-type", S::note, "json has no equality operator: SELECT DISTINCT and GROUP BY fail", "jsonb"},
      {"timestamp-without-zone", S::note, "a timestamp without zone means another moment to each reader", "timestamptz"},
      {"lock-timeout", S::warning, "waiting for a lock without end makes every later query wait behind", "SET lock_timeout = '3s'"},
      {"statement-timeout", S::note, "a statement without a time limit may hold its locks for hours", "SET statement_timeout = '15min'"},
      {"identifier-too-long", S::warning, "PostgreSQL cuts names at 63 bytes, so two may become one", "a shorter name"},
      {"session-setting", S::note, "SET lasts beyond this file with other tools", "SET LOCAL"},
      {"alter-system", S::warning, "it changes the whole server, not this database", "configure the server where its settings live"},
      {"unfit-file", S::error, "the file can't be run", ""},
      {"unknown-rule", S::error, "an exception from a rule that doesn't exist excepts nothing", "the names are in front of the findings"},
      {"allow-without-reason", S::error, "an exception needs a reason for the next reader", "-- codops-lint: allow RULE because REASON"},
  };
  return rules;
}

const Rule& lint_rule(std::string_view id) {
  const auto& rules = lint_rules();
  const auto found = std::find_if(rules.begin(), rules.end(), [&](const Rule& rule) { return rule.id == id; });
  if (found == rules.end()) throw Failure{Exit::bug, "no lint rule \"" + std::string{id} + "\""};
  return *found;
}

}  // namespace codops::migrate
