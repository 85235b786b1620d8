#!/usr/bin/env bash
# An extension whose table has rows of its own beside those of its users, as PostGIS' spatial_ref_sys: a sound backup of it is drilled,
# restored and never called damaged.
# The extension is there for this script's own processes only.
if ((EUID == 0)) && [[ -z ${CODOPS_OWN_MOUNTS:-} ]] && unshare -m true 2>/dev/null; then CODOPS_OWN_MOUNTS=1 exec unshare -m --propagation private bash "${BASH_SOURCE[0]}" "$@"; fi
source "$(dirname "${BASH_SOURCE[0]}")/../support/case.sh"
PG_PASSWORD='c4nary-pa:ss\word'
source "$SUPPORT/backup_postgres.sh"
clean_up() { postgres_stop "$WORK/pg" || true; }
if [[ -z ${CODOPS_OWN_MOUNTS:-} ]]; then
  skip "mounts" "this user can't have mounts of its own"
  finish
fi
extensions=/usr/share/postgresql/$(basename "${pg_bin%/bin}")/extension
cp -r "$extensions" "$WORK/extensions"
cat >"$WORK/extensions/conf7.control" <<END
default_version = '1.0'
relocatable = false
schema = public
END
cat >"$WORK/extensions/conf7--1.0.sql" <<END
CREATE TABLE spatial_ref (srid int PRIMARY KEY, txt text);
INSERT INTO spatial_ref SELECT i, 'builtin' FROM generate_series(1, 50) i;
SELECT pg_catalog.pg_extension_config_dump('spatial_ref', 'WHERE srid > 50');
CREATE TABLE jobs7 (i int);
SELECT pg_catalog.pg_extension_config_dump('jobs7', '');
END
chmod -R a+rX "$WORK/extensions"
chmod 755 "$WORK"
mount --bind "$WORK/extensions" "$extensions"
if ! postgres_start "$WORK/pg"; then
  skip "server" "no PostgreSQL server programs are installed"
  finish
fi
mkdir "$WORK/project" "$WORK/store"
cd "$WORK/project"
encoded=$(python3 -c 'import sys,urllib.parse; print(urllib.parse.quote(sys.argv[1], safe=""))' "$PG_PASSWORD")
printf 'DATABASE_URL=postgresql://postgres:%s@127.0.0.1:%s/shop\n' "$encoded" "$PGPORT_OWN" >.env.test
{
  echo "name: shop"
  backup_settings 'retention: {days: 0, count: 100}'
} >codops.yaml
sql postgres 'CREATE DATABASE shop'
sql shop "CREATE EXTENSION conf7; CREATE TABLE t AS SELECT 1 AS i; INSERT INTO spatial_ref VALUES (100, 'mine'); INSERT INTO jobs7 VALUES (1), (2)"
rows() { sql "$1" "SELECT concat((SELECT count(*) FROM spatial_ref), ' ', (SELECT txt FROM spatial_ref WHERE srid = 100), ' ', (SELECT count(*) FROM jobs7))"; }
check "a backup" "$CODOPS" backup test --label custom
check "one of SQL alone" "$CODOPS" backup test --format plain --label plain
for label in custom plain; do
  check "$label: verified" "$CODOPS" backup verify test "$label"
  check "$label: drilled" "$CODOPS" backup drill test "$label" --same-server
  check "$label: restored beside" "$CODOPS" restore test "$label" --into "beside_$label" --yes
  expect "$label: its rows" "$(rows "beside_$label")" "51 mine 2"
done
expect "neither is called damaged" "$("$CODOPS" backup list test -o json | jq -r '[.. | .damage? // empty] | map(select(. != "")) | length')" 0
sql shop "DELETE FROM spatial_ref WHERE srid = 100"
check "restored" "$CODOPS" restore test latest --yes
expect "the live one is as it was" "$(rows shop)" "51 mine 2"
finish
