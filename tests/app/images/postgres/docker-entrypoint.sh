#!/bin/bash
# POSTGRES_USER, POSTGRES_PASSWORD (or *_FILE), POSTGRES_DB and /docker-entrypoint-initdb.d, as the official image.
set -euo pipefail

# `docker run image -c setting=value`
[ "${1:0:1}" != - ] || set -- postgres "$@"
[ "$1" = postgres ] || exec "$@"

if [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA" && chmod 700 "$PGDATA"
  find "$PGDATA" \! -user postgres -exec chown postgres:postgres '{}' +
  exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi

secret() { # NAME: the variable, or the content of the file that NAME_FILE names
  local file="${1}_FILE"
  if [ -n "${!file:-}" ]; then cat "${!file}"; else echo "${!1:-}"; fi
}

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  user=$(secret POSTGRES_USER); user=${user:-postgres}
  database=$(secret POSTGRES_DB); database=${database:-$user}
  password=$(secret POSTGRES_PASSWORD)
  if [ -z "$password" ] && [ "${POSTGRES_HOST_AUTH_METHOD:-}" != trust ]; then
    echo "Error: Database is uninitialized and superuser password is not specified." >&2
    echo "       You must specify POSTGRES_PASSWORD to a non-empty value for the superuser." >&2
    exit 1
  fi
  # shellcheck disable=SC2086 # several arguments
  initdb --username="$user" --pwfile=<(printf '%s\n' "${password:-unused}") --encoding=UTF8 --locale=C.UTF-8 \
    ${POSTGRES_INITDB_ARGS:-}
  echo "host all all all ${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}" >>"$PGDATA/pg_hba.conf"

  # No TCP while the database is being made: nobody may take it for ready.
  PGPASSWORD=$password
  export PGPASSWORD PGUSER=$user
  pg_ctl -D "$PGDATA" -o "-c listen_addresses='' -p 5432" -w start
  [ "$database" = postgres ] || psql -v ON_ERROR_STOP=1 --no-psqlrc -d postgres --set db="$database" <<<'CREATE DATABASE :"db";'
  for file in /docker-entrypoint-initdb.d/*; do
    # shellcheck disable=SC1090 # the user's own
    case "$file" in
      *.sh) if [ -x "$file" ]; then "$file"; else . "$file"; fi ;;
      *.sql) psql -v ON_ERROR_STOP=1 --no-psqlrc -d "$database" -f "$file" ;;
      *.sql.gz) gunzip -c "$file" | psql -v ON_ERROR_STOP=1 --no-psqlrc -d "$database" ;;
    esac
  done
  pg_ctl -D "$PGDATA" -m fast -w stop
  unset PGPASSWORD PGUSER
  echo
  echo 'PostgreSQL init process complete; ready for start up.'
fi

exec "$@" -c listen_addresses='*'
