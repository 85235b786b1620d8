#!/usr/bin/env bash
# What is never committed: .env.<environment> with fresh secrets, and a certificate for localhost of a throw-away CA.
#
#   prepare.sh [--into DIR] [--env NAME] [KEY=VALUE...]
#
# --into DIR copies the project there first (for tests); KEY=VALUE sets a line of the environment's file.
# What exists already is kept, so it can be run again; given KEY=VALUEs are always set.
set -euo pipefail
umask 077

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
into=$here
environment=demo
while (($#)); do
  case $1 in
    --into) into=$2; shift 2 ;;
    --env) environment=$2; shift 2 ;;
    -*) sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 64 ;;
    *) break ;;
  esac
done

if [[ $into != "$here" ]]; then
  mkdir -p "$into"
  into=$(cd "$into" && pwd)
  # cp would keep umask 077 on files that containers must read.
  tar -C "$here" -c --exclude=node_modules --exclude=dist --exclude=./.env --exclude='./.env.?*' --exclude='./k8s/secrets.*.env' --exclude=./nginx/ssl --exclude=./.codops . \
    "--transform=s,^\./,," | tar -C "$into" -x -p
  cp "$here/.env.demo.example" "$here/.env.example" "$into"
fi
cd "$into"

file=.env.$environment
# Letters and digits only: these secrets stand inside URLs.
secret() { openssl rand -hex 16; }
set_line() { # KEY VALUE
  # In its place: later lines may use it. awk's -v would take backslashes for escapes.
  key=$1 value=$2 awk 'BEGIN { k = ENVIRON["key"] "=" }
    index($0, k) == 1 { if (!done) print k ENVIRON["value"]; done = 1; next } { print }
    END { if (!done) print k ENVIRON["value"] }' "$file" >"$file.new"
  mv "$file.new" "$file"
}
[[ -e $file ]] || cp .env.demo.example "$file"
chmod 600 "$file"
for name in POSTGRES_PASSWORD REDIS_PASSWORD JWT_SECRET; do
  grep -q "^$name=." "$file" || set_line "$name" "$(secret)"
done
for pair in "$@"; do set_line "${pair%%=*}" "${pair#*=}"; done

# The same secrets for k8s/, whose kustomization makes Secrets of them.
value_of() { sed -n "s/^$1=//p" "$file" | tail -n 1; }
password=$(value_of POSTGRES_PASSWORD)
printf 'POSTGRES_PASSWORD=%s\n' "$password" >k8s/secrets.postgres.env
printf 'DATABASE_URL=postgresql://shop:%s@postgres:5432/shop\nJWT_SECRET=%s\n' "$password" "$(value_of JWT_SECRET)" >k8s/secrets.backend.env

ssl=nginx/ssl
if [[ ! -s $ssl/server.crt ]]; then
  mkdir -p "$ssl"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 825 -subj "/CN=codops demo CA" \
    -keyout "$ssl/ca.key" -out "$ssl/ca.crt" 2>/dev/null
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=localhost" \
    -keyout "$ssl/server.key" -out "$ssl/server.csr" 2>/dev/null
  openssl x509 -req -in "$ssl/server.csr" -CA "$ssl/ca.crt" -CAkey "$ssl/ca.key" -CAcreateserial -days 397 \
    -extfile <(echo "subjectAltName=DNS:localhost,IP:127.0.0.1") -out "$ssl/server.crt" 2>/dev/null
  # The CA signed all that it ever will.
  rm -f "$ssl/ca.key" "$ssl/ca.srl" "$ssl/server.csr"
  chmod 755 "$ssl"
  chmod 644 "$ssl"/*.crt
fi
