#!/usr/bin/env bash
# codops backup and restore beside PostgreSQL's own programs, in one run, on a generated database of at least 1.5 GB
# (CODOPS_BENCH_MB for another size). Prints a table; fails where a promise does not hold. Rounds alternate, the best of
# each counts: on a shared machine the slower ones measure the neighbours.
source "$(dirname "${BASH_SOURCE[0]}")/../support/case.sh"
PG_PASSWORD='bench'
source "$SUPPORT/backup_postgres.sh"
clean_up() { postgres_stop "$WORK/pg" || true; }
if ! postgres_start "$WORK/pg" "-c shared_buffers=512MB -c max_wal_size=8GB -c full_page_writes=off -c synchronous_commit=off -c maintenance_work_mem=128MB"; then
  skip "server" "no PostgreSQL server programs are installed"
  finish
fi
megabytes=${CODOPS_BENCH_MB:-1600}
rounds=${CODOPS_BENCH_ROUNDS:-3}
rows=$((megabytes * 5200))
sql postgres 'CREATE DATABASE shop'
# What shops have: numbers, times, words of a small vocabulary, a little JSON, and identifiers that do not compress.
sql shop "CREATE TABLE orders AS
  SELECT i AS id, (i * 7919) % 100000 AS customer, timestamptz '2026-01-01' + i * interval '7 s' AS at, (i % 9973) / 100.0 AS total,
         (ARRAY['paid','sent','returned','open'])[1 + i % 4] AS state, md5(i::text) AS token,
         'Order ' || i || ' of customer ' || (i * 7919) % 100000 || ', to be delivered before noon' AS note,
         jsonb_build_object('items', i % 7, 'coupon', CASE WHEN i % 11 = 0 THEN 'SPRING' END, 'channel', (ARRAY['web','app','shop'])[1 + i % 3]) AS extra
  FROM generate_series(1::bigint, $rows * 7 / 10) i"
sql shop "CREATE TABLE events AS SELECT i AS id, i % 1000 AS kind, 'event ' || i || ' of the day' AS text, md5((i * 3)::text) AS token FROM generate_series(1::bigint, $rows / 3) i"
sql shop "ALTER TABLE orders ADD PRIMARY KEY (id); CREATE INDEX ON orders (customer); CREATE INDEX ON orders (at); ALTER TABLE events ADD PRIMARY KEY (id)"
sql shop 'VACUUM ANALYZE'
echo "database: $(sql shop "SELECT pg_size_pretty(sum(pg_table_size(c.oid))) FROM pg_class c WHERE relname IN ('orders', 'events')") in tables, $(nproc) cores"

mkdir "$WORK/project" "$WORK/store"
cd "$WORK/project"
"$CODOPS" backup keygen --identity "$WORK/identity" --signing-key "$WORK/sign" >"$WORK/keys"
cat >codops.yaml <<YAML
name: shop
backup:
  store: $WORK/store
  recipients: [$(sed -n 's/.*recipients: \[\(.*\)\]/\1/p' "$WORK/keys")]
  identity_file: $WORK/identity
  signing_key: $WORK/sign
  retention: {days: 0, count: 1}
YAML
echo "DATABASE_URL=postgresql://postgres@/shop?host=$PGSOCK&port=$PGPORT_OWN" >.env.test
url="postgresql://postgres@/shop?host=$PGSOCK&port=$PGPORT_OWN"
measure() { # NAME COMMAND…: its best time in seconds in best[NAME], its peak memory in KB in peak[NAME]
  local name=$1 spent memory
  shift
  /usr/bin/env python3 - "$WORK/measured" "$@" <<'P'
import os, resource, subprocess, sys, time
start = time.monotonic()
code = subprocess.run(sys.argv[2:], stdout=subprocess.DEVNULL, stderr=open(sys.argv[1] + ".err", "w")).returncode
open(sys.argv[1], "w").write("%.2f %d\n" % (time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
if code != 0: sys.stderr.write(open(sys.argv[1] + ".err").read())
sys.exit(code)
P
  read -r spent memory <"$WORK/measured"
  if [[ -z ${best[$name]:-} ]] || python3 -c "import sys; sys.exit(not $spent < ${best[$name]})"; then best[$name]=$spent; fi
  peak[$name]=$memory
  printf '  %-34s %7s s\n' "$name" "$spent"
}
declare -A best peak
for ((round = 1; round <= rounds; ++round)); do
  echo "round $round"
  measure "pg_dump -Fc" "$pg_bin/pg_dump" -Fc -f "$WORK/default.dump" "$url"
  measure "pg_dump -Fc -Z0 | zstd -1" bash -o pipefail -c "'$pg_bin/pg_dump' -Fc -Z0 '$url' | zstd -q -1 -f -o '$WORK/piped.zst'"
  measure "codops backup" "$CODOPS" backup test
  size_one=$("$CODOPS" backup show test latest -o json | jq .marks.size)
  measure "codops backup --jobs 2" "$CODOPS" backup test --jobs 2
  size_two=$("$CODOPS" backup show test latest -o json | jq .marks.size)
done
size_default=$(stat -c %s "$WORK/default.dump")
for ((round = 1; round <= rounds; ++round)); do
  sql postgres 'DROP DATABASE IF EXISTS peer' && sql postgres 'CREATE DATABASE peer'
  measure "pg_restore -j2" "$pg_bin/pg_restore" -j 2 -d "postgresql://postgres@/peer?host=$PGSOCK&port=$PGPORT_OWN" "$WORK/default.dump"
  sql postgres 'DROP DATABASE IF EXISTS ours'
  measure "codops restore --into --jobs 2" "$CODOPS" restore test latest --into ours --jobs 2 --yes
done

holds() { # NAME EXPRESSION
  if python3 -c "import sys; sys.exit(not ($2))"; then pass "$1"; else fail "$1" "$2"; fi
}
ratio() { python3 -c "print(f'{$1 / $2:.2f}')"; }
echo "load average: $(cut -d ' ' -f 1-3 /proc/loadavg)"
echo "ratios: $(ratio "${best["codops backup"]}" "${best["pg_dump -Fc"]}") of pg_dump -Fc (0.50) · size $(ratio "$size_one" "$size_default") (0.90) ·" \
  "$(ratio "${best["codops backup"]}" "${best["pg_dump -Fc -Z0 | zstd -1"]}") of the pipe (1.15) ·" \
  "--jobs 2 $(ratio "${best["codops backup --jobs 2"]}" "${best["pg_dump -Fc -Z0 | zstd -1"]}") of the pipe (1.00) ·" \
  "restore $(ratio "${best["codops restore --into --jobs 2"]}" "${best["pg_restore -j2"]}") of pg_restore -j2 (1.05)"
echo "sizes: pg_dump -Fc $size_default, codops $size_one, --jobs 2 $size_two; peak of codops backup: ${peak["codops backup"]} and ${peak["codops backup --jobs 2"]} KB"
holds "at most half the time of pg_dump -Fc" "${best["codops backup"]} <= 0.5 * ${best["pg_dump -Fc"]}"
holds "at most 0.9 of its size" "$size_one <= 0.9 * $size_default"
holds "at most 1.15 of pg_dump | zstd" "${best["codops backup"]} <= 1.15 * ${best["pg_dump -Fc -Z0 | zstd -1"]}"
holds "two workers are faster than both" "${best["codops backup --jobs 2"]} < min(${best["codops backup"]}, ${best["pg_dump -Fc -Z0 | zstd -1"]})"
holds "at most 128 MiB of memory" "max(${peak["codops backup"]}, ${peak["codops backup --jobs 2"]}, ${peak["codops restore --into --jobs 2"]}) <= 131072"
holds "restore at most 1.05 of pg_restore -j2" "${best["codops restore --into --jobs 2"]} <= 1.05 * ${best["pg_restore -j2"]}"
finish
