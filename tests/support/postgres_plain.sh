# shellcheck shell=bash
# A PostgreSQL server for scenario and benchmark scripts: `postgres_start DIR [-c setting=value...]` sets PGSOCKET, PGPORT and PG_PID
# (superuser "postgres", no password on the socket, scram with PG_PASSWORD on 127.0.0.1); `postgres_stop` ends it. Fails
# when the server programs are not installed.
PG_BIN=${CODOPS_PG_BIN:-$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)}
PG_PASSWORD=pg-c4nary-5e1d

postgres_start() { # DIR [SERVER OPTIONS...]
  local dir=$1 as=()
  shift
  [[ -n $PG_BIN ]] || return 1
  mkdir -p "$dir"
  if ((EUID == 0)); then
    chown postgres "$dir"
    chmod o+x "$(dirname "$dir")"
    as=(setpriv --reuid=postgres --regid=postgres --clear-groups)
  fi
  printf %s "$PG_PASSWORD" >"$dir/password"
  chmod 644 "$dir/password"
  "${as[@]}" "$PG_BIN/initdb" -D "$dir/data" -U postgres --auth-local=trust --auth-host=scram-sha-256 --pwfile="$dir/password" -E UTF8 --locale=C.UTF-8 --no-sync >"$dir/initdb.log"
  PGSOCKET=$dir
  PGPORT=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  "${as[@]}" "$PG_BIN/postgres" -D "$dir/data" -k "$dir" -p "$PGPORT" -c listen_addresses=127.0.0.1 "$@" >"$dir/log" 2>&1 &
  PG_PID=$!
  export PGSOCKET PGPORT
  local tries=0
  until "$PG_BIN/pg_isready" -q -h "$dir" -p "$PGPORT" -U postgres; do
    ((tries++ < 1200)) || return 1
    sleep 0.05
  done
}

postgres_stop() {
  kill -INT "$PG_PID" 2>/dev/null || true
  wait "$PG_PID" 2>/dev/null || true
}

psql_in() { # DATABASE [psql arguments...]
  local database=$1
  shift
  "$PG_BIN/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h "$PGSOCKET" -p "$PGPORT" -U postgres -d "$database" "$@"
}
postgres_url() { echo "postgresql://postgres:$PG_PASSWORD@127.0.0.1:$PGPORT/$1"; }
