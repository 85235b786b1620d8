// A schema, described by its catalogs: every object by a name that is the same in every database, with all that can be said of it.
#include "lib/migrate/verify.hpp"

namespace codops::migrate {

namespace pg = io::postgres;

namespace {

// Each part gives (kind and name, definition). `mine`, `extras` and the like leave out the system, extensions' objects and history tables.
constexpr std::string_view common_sql = R"sql(
WITH extras AS (SELECT classid, objid FROM pg_depend WHERE deptype = 'e'),
spaces AS (
  SELECT oid, nspname, nspowner, nspacl FROM pg_namespace n WHERE nspname NOT LIKE 'pg\_%' AND nspname <> 'information_schema'
    AND NOT EXISTS (SELECT FROM extras e WHERE e.classid = 'pg_namespace'::regclass AND e.objid = n.oid)
),
mine AS (
  SELECT c.*, n.nspname FROM pg_class c JOIN spaces n ON n.oid = c.relnamespace
  WHERE c.relname NOT IN ('_prisma_migrations', 'schema_migrations', 'flyway_schema_history', 'codops_migration_progress')
    AND NOT EXISTS (SELECT FROM extras e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid)
),
routines AS (
  SELECT p.*, format('function %I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) AS shown FROM pg_proc p JOIN spaces n ON n.oid = p.pronamespace
  WHERE NOT EXISTS (SELECT FROM extras e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid)
),
types AS (
  SELECT t.*, format('type %I.%I', n.nspname, t.typname) AS shown FROM pg_type t JOIN spaces n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
  WHERE (t.typtype IN ('e', 'd', 'r') OR t.typtype = 'b' AND t.typcategory <> 'A' OR c.relkind = 'c')
    AND NOT EXISTS (SELECT FROM extras e WHERE e.classid = 'pg_type'::regclass AND e.objid = t.oid)
),
owned AS (
  SELECT format('%s %I.%I', CASE relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'view' WHEN 'S' THEN 'sequence' ELSE 'table' END, nspname, relname) AS shown, relowner AS owner,
         coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner)) AS acl FROM mine WHERE relkind IN ('r', 'p', 'f', 'v', 'm', 'S')
  UNION ALL SELECT format('schema %I', nspname), nspowner, coalesce(nspacl, acldefault('n', nspowner)) FROM spaces
  UNION ALL SELECT shown, proowner, coalesce(proacl, acldefault('f', proowner)) FROM routines
  UNION ALL SELECT shown, typowner, coalesce(typacl, acldefault('T', typowner)) FROM types
  UNION ALL SELECT format('language %I', lanname), lanowner, coalesce(lanacl, acldefault('l', lanowner)) FROM pg_language WHERE oid >= 16384
  UNION ALL SELECT format('foreign data wrapper %I', fdwname), fdwowner, coalesce(fdwacl, acldefault('F', fdwowner)) FROM pg_foreign_data_wrapper f
    WHERE NOT EXISTS (SELECT FROM extras e WHERE e.classid = 'pg_foreign_data_wrapper'::regclass AND e.objid = f.oid)
  UNION ALL SELECT format('server %I', srvname), srvowner, coalesce(srvacl, acldefault('S', srvowner)) FROM pg_foreign_server
  UNION ALL SELECT pg_describe_object('pg_statistic_ext'::regclass, oid, 0), stxowner, NULL FROM pg_statistic_ext
  UNION ALL SELECT pg_describe_object('pg_publication'::regclass, oid, 0), pubowner, NULL FROM pg_publication
  UNION ALL SELECT pg_describe_object('pg_event_trigger'::regclass, oid, 0), evtowner, NULL FROM pg_event_trigger
),
-- A kind each whose rows say all there is, but for the numbers of objects.
rows AS (
  SELECT 'pg_collation'::regclass::oid AS class, c.oid, to_jsonb(c) - 'oid' - 'collname' - 'collnamespace' - 'collowner' - 'collversion' AS row FROM pg_collation c
  UNION ALL SELECT 'pg_conversion'::regclass, c.oid, jsonb_build_object('from', conforencoding, 'to', contoencoding, 'function', conproc::regproc, 'default', condefault) FROM pg_conversion c
  UNION ALL SELECT 'pg_cast'::regclass, c.oid, jsonb_build_object('function', castfunc::regprocedure, 'context', castcontext, 'method', castmethod) FROM pg_cast c
  UNION ALL SELECT 'pg_operator'::regclass, o.oid, jsonb_build_object('result', oprresult::regtype, 'function', oprcode::regproc, 'commutator', oprcom::regoperator,
    'negator', oprnegate::regoperator, 'restrict', oprrest::regproc, 'join', oprjoin::regproc, 'merges', oprcanmerge, 'hashes', oprcanhash) FROM pg_operator o
  UNION ALL SELECT 'pg_opfamily'::regclass, f.oid, to_jsonb((SELECT string_agg(d, '; ' ORDER BY d) FROM (
    SELECT pg_describe_object('pg_amop'::regclass, a.oid, 0) AS d FROM pg_amop a WHERE a.amopfamily = f.oid
    UNION ALL SELECT pg_describe_object('pg_amproc'::regclass, a.oid, 0) FROM pg_amproc a WHERE a.amprocfamily = f.oid) x)) FROM pg_opfamily f
  UNION ALL SELECT 'pg_opclass'::regclass, o.oid, jsonb_build_object('type', opcintype::regtype, 'default', opcdefault, 'key', opckeytype::regtype) FROM pg_opclass o
  UNION ALL SELECT 'pg_ts_config'::regclass, c.oid, jsonb_build_object('parser', (SELECT pg_describe_object('pg_ts_parser'::regclass, c.cfgparser, 0)), 'map',
    (SELECT string_agg(concat(maptokentype, ' ', m.mapdict::regdictionary), ', ' ORDER BY maptokentype, mapseqno) FROM pg_ts_config_map m WHERE m.mapcfg = c.oid)) FROM pg_ts_config c
  UNION ALL SELECT 'pg_ts_dict'::regclass, d.oid, jsonb_build_object('template', pg_describe_object('pg_ts_template'::regclass, dicttemplate, 0), 'options', dictinitoption) FROM pg_ts_dict d
  UNION ALL SELECT 'pg_ts_parser'::regclass, p.oid, jsonb_build_object('start', prsstart::regproc, 'token', prstoken::regproc) FROM pg_ts_parser p
  UNION ALL SELECT 'pg_ts_template'::regclass, t.oid, jsonb_build_object('init', tmplinit::regproc, 'lexize', tmpllexize::regproc) FROM pg_ts_template t
  UNION ALL SELECT 'pg_statistic_ext'::regclass, s.oid, jsonb_build_object('definition', pg_get_statisticsobjdef(s.oid), 'target', to_jsonb(s) -> 'stxstattarget') FROM pg_statistic_ext s
  UNION ALL SELECT 'pg_publication'::regclass, p.oid, to_jsonb(p) - 'oid' - 'pubname' - 'pubowner' FROM pg_publication p
  UNION ALL SELECT 'pg_publication_rel'::regclass, r.oid, jsonb_build_object('columns', to_jsonb(r) -> 'prattrs') FROM pg_publication_rel r
  UNION ALL SELECT 'pg_event_trigger'::regclass, t.oid, jsonb_build_object('event', evtevent, 'function', evtfoid::regproc, 'enabled', evtenabled, 'tags', evttags) FROM pg_event_trigger t
  UNION ALL SELECT 'pg_foreign_data_wrapper'::regclass, f.oid, jsonb_build_object('handler', fdwhandler::regproc, 'validator', fdwvalidator::regproc, 'options', fdwoptions) FROM pg_foreign_data_wrapper f
  UNION ALL SELECT 'pg_foreign_server'::regclass, s.oid, jsonb_build_object('type', srvtype, 'version', srvversion, 'options', srvoptions) FROM pg_foreign_server s
  UNION ALL SELECT 'pg_language'::regclass, l.oid, jsonb_build_object('handler', lanplcallfoid::regproc, 'trusted', lanpltrusted) FROM pg_language l
  UNION ALL SELECT 'pg_transform'::regclass, t.oid, jsonb_build_object('from', trffromsql::regproc, 'to', trftosql::regproc) FROM pg_transform t
  UNION ALL SELECT 'pg_am'::regclass, a.oid, jsonb_build_object('handler', amhandler::regproc) FROM pg_am a
)
SELECT format('schema %I', nspname), ''::text FROM spaces
UNION ALL
SELECT format('extension %I', extname), n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
UNION ALL
SELECT format('table %I.%I', m.nspname, relname), concat_ws(' ', relkind, relpersistence, CASE WHEN relrowsecurity THEN 'row security' END, CASE WHEN relforcerowsecurity THEN 'forced' END,
  CASE WHEN relkind = 'p' THEN 'PARTITION BY ' || pg_get_partkeydef(m.oid) END, CASE WHEN relispartition THEN pg_get_expr(relpartbound, m.oid) END,
  'TABLESPACE ' || s.spcname, 'USING ' || nullif(a.amname, 'heap'), CASE WHEN relreplident <> 'd' THEN 'REPLICA IDENTITY ' || relreplident::text END,
  'OF ' || nullif(reloftype, 0)::regtype, (SELECT concat('SERVER ', f.srvname, ' ', t.ftoptions) FROM pg_foreign_table t JOIN pg_foreign_server f ON f.oid = t.ftserver WHERE t.ftrelid = m.oid))
FROM mine m LEFT JOIN pg_tablespace s ON s.oid = m.reltablespace LEFT JOIN pg_am a ON a.oid = m.relam WHERE relkind IN ('r', 'p', 'f')
UNION ALL
SELECT format('options of %I.%I', m.nspname, m.relname), concat_ws(' ', array_to_string(ARRAY(SELECT unnest(m.reloptions) ORDER BY 1), ' '), 'toast: ' || array_to_string(ARRAY(SELECT unnest(t.reloptions) ORDER BY 1), ' '))
FROM mine m LEFT JOIN pg_class t ON t.oid = m.reltoastrelid AND t.reloptions IS NOT NULL WHERE m.relkind IN ('r', 'p', 'v', 'm') AND (m.reloptions IS NOT NULL OR t.oid IS NOT NULL)
UNION ALL
SELECT format('%I.%I is a child of %s', m.nspname, m.relname, i.inhparent::regclass), to_jsonb(i) ->> 'inhdetachpending' FROM mine m JOIN pg_inherits i ON i.inhrelid = m.oid WHERE m.relkind IN ('r', 'p', 'f')
UNION ALL
SELECT format('column %I.%I.%I', m.nspname, m.relname, a.attname),
  concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END, nullif(a.attidentity, ''), nullif(a.attgenerated, ''),
            'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END,
            CASE WHEN a.attstorage <> t.typstorage THEN 'STORAGE ' || a.attstorage::text END, 'COMPRESSION ' || nullif(to_jsonb(a) ->> 'attcompression', ''),
            'STATISTICS ' || nullif(coalesce(a.attstattarget, -1), -1), array_to_string(a.attoptions, ' '), array_to_string(a.attfdwoptions, ' '))
FROM mine m JOIN pg_attribute a ON a.attrelid = m.oid AND a.attnum > 0 AND NOT a.attisdropped JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE m.relkind IN ('r', 'p', 'f', 'c')
UNION ALL
SELECT format('constraint %I on %I.%I', c.conname, m.nspname, m.relname), pg_get_constraintdef(c.oid) || CASE WHEN c.convalidated THEN '' ELSE ' (not valid)' END
FROM mine m JOIN pg_constraint c ON c.conrelid = m.oid WHERE c.contype <> 't' AND c.contype <> 'n'
UNION ALL
SELECT format('index %I.%I', i.nspname, i.relname), concat(pg_get_indexdef(i.oid), CASE WHEN NOT x.indisvalid THEN ' (invalid)' END, CASE WHEN x.indisclustered THEN ' (clustered)' END,
  CASE WHEN x.indisreplident THEN ' (replica identity)' END, ' TABLESPACE ' || s.spcname)
FROM mine i JOIN pg_index x ON x.indexrelid = i.oid JOIN mine t ON t.oid = x.indrelid LEFT JOIN pg_tablespace s ON s.oid = i.reltablespace
UNION ALL
SELECT format('view %I.%I', nspname, relname), pg_get_viewdef(oid) || CASE WHEN relkind = 'm' THEN ' (materialized)' ELSE '' END FROM mine WHERE relkind IN ('v', 'm')
UNION ALL
SELECT format('sequence %I.%I', m.nspname, m.relname), concat_ws(' ', s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmax, s.seqmin, s.seqcycle, s.seqcache, m.relpersistence,
  (SELECT 'OWNED BY ' || pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid) FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = m.oid AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0))
FROM mine m JOIN pg_sequence s ON s.seqrelid = m.oid
UNION ALL
SELECT format('trigger %I on %I.%I', t.tgname, m.nspname, m.relname), pg_get_triggerdef(t.oid) || ' ' || t.tgenabled::text
FROM mine m JOIN pg_trigger t ON t.tgrelid = m.oid WHERE NOT t.tgisinternal
UNION ALL
SELECT format('policy %I on %I.%I', p.polname, m.nspname, m.relname),
  concat_ws(' ', p.polcmd, p.polpermissive, ARRAY(SELECT CASE r WHEN 0 THEN 'public' ELSE r::regrole::text END FROM unnest(p.polroles) r ORDER BY 1)::text, pg_get_expr(p.polqual, p.polrelid),
            pg_get_expr(p.polwithcheck, p.polrelid)) FROM mine m JOIN pg_policy p ON p.polrelid = m.oid
UNION ALL
SELECT format('rule %I on %I.%I', r.rulename, m.nspname, m.relname), pg_get_ruledef(r.oid) || ' ' || r.ev_enabled::text FROM mine m JOIN pg_rewrite r ON r.ev_class = m.oid WHERE r.rulename <> '_RETURN'
UNION ALL
SELECT p.shown, CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) ELSE concat_ws(' ', 'aggregate', a.aggkind, p.prorettype::regtype, a.aggtransfn::regproc, a.aggfinalfn::regproc,
  a.aggcombinefn::regproc, a.aggtranstype::regtype, a.agginitval, a.aggmtransfn::regproc, a.aggsortop::regoperator, p.proparallel) END
FROM routines p LEFT JOIN pg_aggregate a ON a.aggfnoid = p.oid
UNION ALL
SELECT t.shown, CASE t.typtype
  WHEN 'e' THEN (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid)
  WHEN 'r' THEN (SELECT concat_ws(' ', 'range', r.rngsubtype::regtype, r.rngcollation::regcollation, r.rngcanonical::regproc, r.rngsubdiff::regproc) FROM pg_range r WHERE r.rngtypid = t.oid)
  WHEN 'd' THEN concat_ws(' ', format_type(t.typbasetype, t.typtypmod), CASE WHEN t.typnotnull THEN 'NOT NULL' END, t.typdefault, nullif(t.typcollation, 0)::regcollation,
            (SELECT string_agg(c.conname || ' ' || pg_get_constraintdef(c.oid), ' ' ORDER BY c.conname) FROM pg_constraint c WHERE c.contypid = t.oid))
  ELSE concat_ws(' ', t.typtype, t.typinput::regproc, t.typoutput::regproc, t.typlen, t.typalign, t.typstorage) END
FROM types t
UNION ALL
SELECT pg_describe_object(class, oid, 0), row::text FROM rows r WHERE oid >= 16384 AND NOT EXISTS (SELECT FROM extras e WHERE e.classid = r.class AND e.objid = r.oid)
UNION ALL
SELECT format('user mapping of %s on %s', coalesce(usename, 'public'), srvname), md5(umoptions::text) FROM pg_user_mappings
UNION ALL
SELECT 'comment on ' || pg_describe_object(d.classoid, d.objoid, d.objsubid), d.description FROM pg_description d
WHERE (d.objoid >= 16384 OR d.classoid = 'pg_namespace'::regclass) AND NOT EXISTS (SELECT FROM extras e WHERE e.classid = d.classoid AND e.objid = d.objoid)
UNION ALL
SELECT format('security label (%s) on %s', l.provider, pg_describe_object(l.classoid, l.objoid, l.objsubid)), l.label FROM pg_seclabel l
UNION ALL
SELECT 'owner of ' || shown, owner::regrole::text FROM owned
UNION ALL
SELECT 'owner of ' || pg_describe_object(c, o, 0), w::regrole::text FROM (SELECT 'pg_collation'::regclass, oid, collowner FROM pg_collation UNION ALL SELECT 'pg_conversion'::regclass, oid, conowner FROM pg_conversion
  UNION ALL SELECT 'pg_operator'::regclass, oid, oprowner FROM pg_operator UNION ALL SELECT 'pg_opclass'::regclass, oid, opcowner FROM pg_opclass UNION ALL SELECT 'pg_opfamily'::regclass, oid, opfowner FROM pg_opfamily
  UNION ALL SELECT 'pg_ts_config'::regclass, oid, cfgowner FROM pg_ts_config UNION ALL SELECT 'pg_ts_dict'::regclass, oid, dictowner FROM pg_ts_dict) x (c, o, w)
WHERE o >= 16384 AND NOT EXISTS (SELECT FROM extras e WHERE e.classid = c AND e.objid = o)
UNION ALL
SELECT format('privilege %s%s on %s', CASE a.grantee WHEN o.owner THEN 'owner' WHEN 0 THEN 'public' ELSE a.grantee::regrole::text END, ': ' || a.privilege_type, o.shown),
  CASE WHEN bool_or(a.is_grantable) THEN 'granted, with grant option' ELSE 'granted' END FROM owned o, aclexplode(o.acl) a GROUP BY a.grantee, a.privilege_type, o.shown, o.owner
UNION ALL
SELECT format('privilege %s%s on column %I.%I.%I', CASE x.grantee WHEN 0 THEN 'public' ELSE x.grantee::regrole::text END, ': ' || x.privilege_type, m.nspname, m.relname, a.attname),
  CASE WHEN bool_or(x.is_grantable) THEN 'granted, with grant option' ELSE 'granted' END
FROM mine m JOIN pg_attribute a ON a.attrelid = m.oid AND NOT a.attisdropped, aclexplode(a.attacl) x GROUP BY x.grantee, x.privilege_type, m.nspname, m.relname, a.attname
UNION ALL
SELECT format('default privileges of %s in %s on %s', d.defaclrole::regrole, coalesce(n.nspname, 'every schema'), d.defaclobjtype),
  (SELECT string_agg(concat(CASE x.grantee WHEN 0 THEN 'public' ELSE x.grantee::regrole::text END, ' ', x.privilege_type, CASE WHEN x.is_grantable THEN '*' END), ', ' ORDER BY x.grantee::regrole::text, x.privilege_type)
   FROM aclexplode(d.defaclacl) x) FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
)sql";

// What only newer servers have.
constexpr std::string_view since_15_sql = R"sql(
UNION ALL
SELECT pg_describe_object('pg_publication_namespace'::regclass, p.oid, 0), '' FROM pg_publication_namespace p
UNION ALL
SELECT 'rows of ' || pg_describe_object('pg_publication_rel'::regclass, p.oid, 0), pg_get_expr(p.prqual, p.prrelid) FROM pg_publication_rel p WHERE p.prqual IS NOT NULL
)sql";

}  // namespace

Snapshot schema_snapshot(pg::Connection& connection, const Limits& limits) {
  // With an empty path every name is written with its schema.
  connection.run("BEGIN; SET LOCAL search_path = ''", limits);
  pg::Rows rows;
  try {
    std::string sql{common_sql};
    if (connection.server_version() >= 150000) sql += since_15_sql;
    rows = connection.query(sql, limits);
  } catch (...) {
    if (connection.usable()) connection.run("ROLLBACK", Limits{Deadline::after(Milliseconds{5'000}), {}});
    throw;
  }
  connection.run("COMMIT", limits);
  Snapshot result;
  for (std::size_t i = 0; i < rows.size(); ++i) result[std::string{rows.text(i, 0)}] = rows.text(i, 1);
  return result;
}

}  // namespace codops::migrate
