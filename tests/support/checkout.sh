# shellcheck shell=bash
# A developer's fresh clone of the demo application, for the scenarios of setup-dev. Source after case.sh.
#
#   clone DIR            what git would give: no .env, no node_modules
#   setup ARGS...        codops setup-dev in the current directory; out and err are its streams in $WORK
#   json FILTER          jq on $WORK/out
#   ending STEP          how that step ended, of the last run with -o json
#   remove_stack PROJECT containers, volumes and networks of that name on the engine
#   fingerprint DIR      every file with its content, but .codops and node_modules
#
# Every directory of `clone` is taken down at the end of the script. npm works from the tests' cache, without a network.

checkouts=()
npm_config_cache=$("$SUPPORT/images.sh" npm)
export npm_config_cache npm_config_offline=true npm_config_update_notifier=false
# Nobody's own settings may change what is tested.
unset DATABASE_URL REDIS_URL COMPOSE_FILE COMPOSE_PROJECT_NAME NODE_ENV PGHOST PGPORT PGUSER PGDATABASE PGPASSWORD
export CODOPS_SETUP_DEV_BACKEND=${CODOPS_SETUP_DEV_BACKEND:-local}
mkdir -p "$WORK" && chmod 755 "$WORK"

clone() { # DIR
  mkdir -p "$1"
  (cd "$REPO/tests/app" && tar -c --exclude=node_modules --exclude=dist --exclude=./.env --exclude='./.env.?*' --exclude=./nginx/ssl --exclude=./.codops \
    --exclude=openapi.json . && true) | tar -x -C "$1"
  cp "$REPO"/tests/app/.env.example "$1"
  checkouts+=("$1")
}
setup() { "$CODOPS" setup-dev "$@" >"$WORK/out" 2>"$WORK/err" </dev/null; }
code() { # COMMAND...: its exit code
  local rc=0
  "$@" >"$WORK/code.out" 2>"$WORK/code.err" </dev/null || rc=$?
  echo "$rc"
}
json() { jq -c "$1" "$WORK/out"; }
ending() { jq -r --arg name "$1" '.steps[] | select(.name == $name) | .ending' "$WORK/out"; }
fingerprint() { (cd "$1" && find . \( -name .codops -o -name node_modules \) -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum); }
remove_stack() { # PROJECT
  docker ps -aq --filter "label=com.docker.compose.project=$1" | xargs -r docker rm -fv >/dev/null
  docker volume ls -q --filter "label=com.docker.compose.project=$1" | xargs -r docker volume rm >/dev/null
  docker network ls -q --filter "label=com.docker.compose.project=$1" | xargs -r docker network rm >/dev/null
}
listen_on() { # PORT: somebody else's listener; its pid is in $listener
  python3 -c 'import socket, sys, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("127.0.0.1", int(sys.argv[1]))); s.listen(8); open(sys.argv[2], "w").write("x"); time.sleep(600)' \
    "$1" "$WORK/listening.$1" &
  listener=$!
  wait_for 10 test -s "$WORK/listening.$1"
  rm -f "$WORK/listening.$1"
}
down_all() {
  local dir
  [[ -z ${listener:-} ]] || kill "$listener" 2>/dev/null || true
  for dir in ${checkouts[@]+"${checkouts[@]}"}; do
    [[ -d $dir ]] || continue
    (cd "$dir" && "$CODOPS" setup-dev --down --backend local >/dev/null 2>&1 </dev/null) || true
  done
}
clean_up() { down_all; }
