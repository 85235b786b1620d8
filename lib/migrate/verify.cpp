#include "lib/migrate/verify.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/io/crypto.hpp"

namespace codops::migrate {

namespace pg = io::postgres;

namespace {

// Each part gives (kind and name, definition). `mine` leaves out the system, extensions' objects and history tables.
constexpr std::string_view snapshot_sql = R"sql(
WITH mine AS (
  SELECT c.oid, c.relname, c.relkind, c.relrowsecurity, c.relpersistence, n.nspname
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
    AND c.relname NOT IN ('_prisma_migrations', 'schema_migrations', 'flyway_schema_history', 'codops_migration_progress')
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
)
SELECT format('schema %I', nspname), '' FROM pg_namespace WHERE nspname NOT LIKE 'pg\_%' AND nspname <> 'information_schema'
UNION ALL
SELECT format('table %I.%I', nspname, relname), concat_ws(' ', relkind, relpersistence, CASE WHEN relrowsecurity THEN 'row security' END)
FROM mine WHERE relkind IN ('r', 'p', 'f')
UNION ALL
SELECT format('column %I.%I.%I', m.nspname, m.relname, a.attname),
  concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END, nullif(a.attidentity, ''), nullif(a.attgenerated, ''),
            'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END)
FROM mine m JOIN pg_attribute a ON a.attrelid = m.oid AND a.attnum > 0 AND NOT a.attisdropped JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE m.relkind IN ('r', 'p', 'f', 'c')
UNION ALL
SELECT format('constraint %I on %I.%I', c.conname, m.nspname, m.relname), pg_get_constraintdef(c.oid) || CASE WHEN c.convalidated THEN '' ELSE ' (not valid)' END
FROM mine m JOIN pg_constraint c ON c.conrelid = m.oid WHERE c.contype <> 't' AND c.contype <> 'n'
UNION ALL
SELECT format('index %I.%I', i.nspname, i.relname), pg_get_indexdef(i.oid) || CASE WHEN x.indisvalid THEN '' ELSE ' (invalid)' END
FROM mine i JOIN pg_index x ON x.indexrelid = i.oid JOIN mine t ON t.oid = x.indrelid
UNION ALL
SELECT format('view %I.%I', nspname, relname), pg_get_viewdef(oid) FROM mine WHERE relkind IN ('v', 'm')
UNION ALL
SELECT format('sequence %I.%I', m.nspname, m.relname), concat_ws(' ', s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmax, s.seqmin, s.seqcycle)
FROM mine m JOIN pg_sequence s ON s.seqrelid = m.oid
UNION ALL
SELECT format('trigger %I on %I.%I', t.tgname, m.nspname, m.relname), pg_get_triggerdef(t.oid) || ' ' || t.tgenabled::text
FROM mine m JOIN pg_trigger t ON t.tgrelid = m.oid WHERE NOT t.tgisinternal
UNION ALL
SELECT format('policy %I on %I.%I', p.polname, m.nspname, m.relname),
  concat_ws(' ', p.polcmd, p.polpermissive, pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) FROM mine m JOIN pg_policy p ON p.polrelid = m.oid
UNION ALL
SELECT format('rule %I on %I.%I', r.rulename, m.nspname, m.relname), pg_get_ruledef(r.oid) FROM mine m JOIN pg_rewrite r ON r.ev_class = m.oid WHERE r.rulename <> '_RETURN'
UNION ALL
SELECT format('function %I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)), pg_get_functiondef(p.oid)
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE p.prokind IN ('f', 'p') AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
UNION ALL
SELECT format('type %I.%I', n.nspname, t.typname),
  CASE t.typtype WHEN 'e' THEN (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid)
       ELSE concat_ws(' ', format_type(t.typbasetype, t.typtypmod), CASE WHEN t.typnotnull THEN 'NOT NULL' END, t.typdefault,
            (SELECT string_agg(pg_get_constraintdef(c.oid), ' ' ORDER BY c.conname) FROM pg_constraint c WHERE c.contypid = t.oid)) END
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.typtype IN ('e', 'd') AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
)sql";

class ScratchDatabase {
 public:
  ScratchDatabase(pg::Connection& owner, const Limits& limits) : owner_{owner}, name_{"codops_verify_" + io::to_hex(io::random_bytes(6))} {
    const auto like = owner.query("SELECT pg_encoding_to_char(encoding), datcollate, datctype FROM pg_database WHERE datname = current_database()", limits);
    owner.query(fmt::format("CREATE DATABASE {} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}", pg::quote_identifier(name_),
                            pg::quote_literal(like.text(0, 0)), pg::quote_literal(like.text(0, 1)), pg::quote_literal(like.text(0, 2))),
                limits);
  }
  ScratchDatabase(const ScratchDatabase&) = delete;
  ScratchDatabase& operator=(const ScratchDatabase&) = delete;
  ~ScratchDatabase() {
    try {
      owner_.query("DROP DATABASE IF EXISTS " + pg::quote_identifier(name_), Limits{Deadline::after(Milliseconds{20'000}), {}});
    } catch (const std::exception&) {
    }
  }
  pg::Target target() const {
    auto target = owner_.target();
    target.database = name_;
    return target;
  }

 private:
  pg::Connection& owner_;
  std::string name_;
};

Source applied_part(const Source& source, const Ledger& ledger) {
  Source applied = source;
  applied.migrations.clear();
  for (const auto& item : ledger.items) {
    if (item.index < source.migrations.size() && (item.state == State::applied || item.state == State::edited)) {
      applied.migrations.push_back(source.migrations[item.index]);
    }
  }
  return applied;
}

}  // namespace

Snapshot schema_snapshot(pg::Connection& connection, const Limits& limits) {
  // With an empty path every name is written with its schema.
  connection.run("BEGIN; SET LOCAL search_path = ''", limits);
  pg::Rows rows;
  try {
    rows = connection.query(snapshot_sql, limits);
  } catch (...) {
    if (connection.usable()) connection.run("ROLLBACK", Limits{Deadline::after(Milliseconds{5'000}), {}});
    throw;
  }
  connection.run("COMMIT", limits);
  Snapshot result;
  for (std::size_t i = 0; i < rows.size(); ++i) result[std::string{rows.text(i, 0)}] = rows.text(i, 1);
  return result;
}

std::vector<Difference> compare(const Snapshot& live, const Snapshot& replayed) {
  std::vector<Difference> differences;
  for (const auto& [object, definition] : live) {
    const auto other = replayed.find(object);
    if (other == replayed.end()) differences.push_back({object, definition.empty() ? "there" : definition, ""});
    else if (other->second != definition) differences.push_back({object, definition, other->second});
  }
  for (const auto& [object, definition] : replayed) {
    if (!live.contains(object)) differences.push_back({object, "", definition.empty() ? "there" : definition});
  }
  return differences;
}

Verification verify(const Source& source, pg::Connection& connection, const std::vector<std::string>& extensions, const Options& options,
                    Reporter& reporter, const Limits& limits) {
  const auto applied = applied_part(source, status(source, connection, false, limits));
  const auto live = schema_snapshot(connection, limits);
  const ScratchDatabase scratch{connection, limits};
  auto replay = pg::Connection::open(scratch.target(), limits);
  for (const auto& extension : extensions) replay.run("CREATE EXTENSION IF NOT EXISTS " + pg::quote_identifier(extension), limits);
  Verification verification;
  auto quiet = options;
  quiet.take_lock = false;
  quiet.until.clear();
  verification.replayed = apply(applied, replay, quiet, reporter, limits).applied.size();
  verification.differences = compare(live, schema_snapshot(replay, limits));
  return verification;
}

std::string to_text(const Verification& verification) {
  if (verification.differences.empty()) {
    return fmt::format("{} migrations replayed: the live schema is what they say\n", verification.replayed);
  }
  std::string text = fmt::format("{} migrations replayed, {} differences\n", verification.replayed, verification.differences.size());
  for (const auto& difference : verification.differences) {
    if (difference.live.empty()) text += fmt::format("- {}   missing in the live database\n", difference.object);
    else if (difference.replayed.empty()) text += fmt::format("+ {}   only in the live database\n", difference.object);
    else text += fmt::format("~ {}\n    live        {}\n    migrations  {}\n", difference.object, difference.live, difference.replayed);
  }
  return text;
}

std::string to_json(const Verification& verification) {
  nlohmann::ordered_json document{{"replayed", verification.replayed}, {"differences", nlohmann::ordered_json::array()}};
  for (const auto& difference : verification.differences) {
    document["differences"].push_back({{"object", difference.object}, {"live", difference.live}, {"migrations", difference.replayed}});
  }
  return document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace codops::migrate
