#!/usr/bin/env bash
# codops migrate beside one psql session (a transaction for each file), Prisma's schema engine alone and its CLI: COUNT (500) generated migrations with
# tables, indexes, constraints, enums and functions with $$ (migrate/generate.py says in what mix; KIND=tables: the hardest), on a server with fsync on.
# Prints one line for each: median, least and peak memory of RUNS (3).
#   tests/bench/migrate.sh [COUNT]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CODOPS=${CODOPS:-$here/../../build/release/cli/codops}
count=${1:-500} runs=${RUNS:-3}
work=$(mktemp -d)
chmod 755 "$work"
source "$here/../support/postgres_plain.sh"
postgres_start "$work/pg"
trap 'postgres_stop; rm -rf "$work"' EXIT

"$here/migrate/generate.py" "$work/project/prisma/migrations" "$count" "${KIND:-mix}"
for file in "$work"/project/prisma/migrations/*/migration.sql; do printf 'BEGIN;\n'; cat "$file"; printf '\nCOMMIT;\n'; done >"$work/all.sql"
printf 'name: bench\n' >"$work/project/codops.yaml"
cd "$work/project"

# A new database each time, none dropped: for half a minute ext4 passes over the inodes of deleted files one by one, and what
# creates tables then takes twice as long, whoever does it.
databases=0
fresh() {
  psql_in postgres -c "CREATE DATABASE bench$((++databases))" -c CHECKPOINT >/dev/null 2>&1
  DATABASE_URL=$(postgres_url "bench$databases")
  export DATABASE_URL
}
${CXX:-g++} -std=c++20 -O2 -o "$work/launch" "$here/health/launch.cpp"
measure() { # NAME COMMAND... → a line "milliseconds megabytes processor" in its file
  local name=$1
  shift
  "$work/launch" 0 "$@" >>"$work/times.$name"
}
prisma=
if "$here/../support/prisma.sh" --check && "$here/../support/prisma_cli.sh" --check; then prisma=yes; fi
# In turn, so that whatever else the machine does meets all of them.
for ((r = 0; r < runs; ++r)); do
  fresh
  measure "psql, one session" "$PG_BIN/psql" -X -q -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$PGPORT" -d "$DATABASE_URL" -f "$work/all.sql"
  fresh
  measure "codops migrate" "$CODOPS" migrate staging --yes
  for _ in 1 2 3; do
    measure "codops migrate, no-op" "$CODOPS" migrate staging --yes
    measure "psql -c 'SELECT 1'" "$PG_BIN/psql" -X -q -d "$DATABASE_URL" -c 'SELECT 1'
  done
  if [[ -n $prisma ]]; then
    fresh
    measure "Prisma's engine" "$here/../support/prisma.sh" apply "$work/project/prisma/migrations"
    measure "Prisma's engine, no-op" "$here/../support/prisma.sh" apply "$work/project/prisma/migrations"
    fresh
    measure "prisma migrate deploy" "$here/../support/prisma_cli.sh" "$work/project/prisma/migrations"
    measure "prisma migrate deploy, no-op" "$here/../support/prisma_cli.sh" "$work/project/prisma/migrations"
  fi
done
for times in "$work"/times.*; do
  sort -n "$times" | awk -v name="${times#*/times.}" '{ seconds[NR] = $1; if ($2 > most) most = $2 }
    END { printf "%-28s median %8.1f ms  least %8.1f ms  peak %6.1f MB  (%d runs)\n", name, seconds[int((NR + 1) / 2)], seconds[1], most, NR }'
done
