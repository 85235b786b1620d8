# shellcheck shell=bash
# A PostgreSQL server of a script's own, on loopback and a socket; source it after case.sh.
#   postgres_start DIR          sets PGSOCK (folder of the socket) and PGPORT_OWN, or returns 1 where there is none
#   postgres_stop DIR
#   sql DATABASE STATEMENT      as its superuser
#   backup_settings [LINE...]   keys in $WORK, and `backup:` of codops.yaml with them and the store $WORK/store, and these lines
pg_bin=$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)
as_server() { if ((EUID == 0)); then setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; else "$@"; fi; }

postgres_start() { # DIR
  [[ -n $pg_bin && -x $pg_bin/postgres ]] || return 1
  mkdir -p "$1"
  chmod 755 "$WORK" "$1"
  if ((EUID == 0)); then chown postgres: "$1"; fi
  PGSOCK=$1
  PGPORT_OWN=$(python3 -c 'import socket; s=socket.socket(); s.bind(("127.0.0.1",0)); print(s.getsockname()[1])')
  printf '%s' "$PG_PASSWORD" >"$1/password"
  if ((EUID == 0)); then chown postgres: "$1/password"; fi
  as_server "$pg_bin/initdb" -D "$1/data" -U postgres --auth-local=trust --auth-host=scram-sha-256 --pwfile="$1/password" -E UTF8 --locale=C.UTF-8 --no-sync >"$1/initdb.log" 2>&1
  as_server "$pg_bin/pg_ctl" -D "$1/data" -w -l "$1/server.log" -o "-k $1 -p $PGPORT_OWN -c listen_addresses=127.0.0.1 -c fsync=off ${2:-}" start >"$1/ctl.log" 2>&1
}
postgres_stop() { as_server "$pg_bin/pg_ctl" -D "$1/data" -m immediate stop >/dev/null 2>&1; }
sql() { "$pg_bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h "$PGSOCK" -p "$PGPORT_OWN" -U postgres -d "$1" -c "$2"; }
backup_settings() { # [LINE...]
  "$CODOPS" backup keygen --identity "$WORK/identity" --signing-key "$WORK/sign" >"$WORK/keys"
  printf 'backup:\n'
  printf '  %s\n' "store: $WORK/store" "recipients: [$(sed -n 's/.*recipients: \[\(.*\)\]/\1/p' "$WORK/keys")]" "identity_file: $WORK/identity" \
    "signing_key: $WORK/sign" "$@"
}
