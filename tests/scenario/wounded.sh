#!/usr/bin/env bash
# What a run and its records may meet: a damaged or lost entry of an old run, no room for the last record, somebody's hands on the old set or
# the proxy while a run goes on, everything stopped, the proxy's file changed. One complete release serves afterwards.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
need_engine
# shellcheck source=tests/support/tiny.sh
source "$SUPPORT/tiny.sh"
clean_up() { tiny_down; }
tiny_project "$WORK/p" 18790 300ms
check "a first deploy" tiny_deploy v1.0.0
check "another" tiny_deploy v1.1.0
state=$(docker volume inspect -f '{{.Mountpoint}}' "codops-$PROJECT-state")
runs() { find "$state/meta/journal" -mindepth 1 -maxdepth 1 -type d | sort; }
entry_of() { find "$1" -type f -name '*.json' | sort | tail -n 1; }  # RUN: its last entry
webs() { # VERSION
  docker ps -a --filter "label=com.docker.compose.project=$PROJECT" --filter label=com.docker.compose.service=web --filter "label=codops.version=$1" --format '{{.Names}}'
}
front=$(docker ps --filter "label=com.docker.compose.project=$PROJECT" --filter label=com.docker.compose.service=front --format '{{.Names}}')
resumes() { "$CODOPS" resume test >"$WORK/out" 2>&1 || tail -n 3 "$WORK/out"; }

# ---- records
first=$(runs | head -n 1)
cp -a "$first" "$WORK/first"
sed -i 's/ended/endec/' "$(entry_of "$first")"
before=$(fingerprint)
resumes
expect "an old run's damaged end: nothing is undone" "$(diff <(fingerprint) <(echo "$before") | head -n 3)$(served)" "v1.1.0"
expect "and it is named" "$("$CODOPS" status test -o json | jq '.damaged | length')" 1
rm -rf "$first"
cp -a "$WORK/first" "$first"
expect "mended by hand: as before" "$(converged v1.1.0 || true)" ""

newest=$(runs | tail -n 1)
: >"$(entry_of "$newest")"
before=$(fingerprint)
resumes
expect "the newest run's end, emptied by a full disk, while its record is there: nothing is undone" "$(diff <(fingerprint) <(echo "$before") | head -n 3)$(served)" "v1.1.0"
check "and said" grep -q 'had no end; the history has it: ok' "$WORK/out"
rm -rf "$newest"/*.json
cp -a "$WORK/first/." "$newest/" 2>/dev/null || true
rm -rf "$newest"

record=$(find "$state/meta/history" -type f | sort | tail -n 1)
check "one more deploy" tiny_deploy v1.0.0
record=$(find "$state/meta/history" -type f | sort | tail -n 1)
cp "$record" "$WORK/record"
echo rubbish >"$record"
expect "a record that is rubbish: the release is told from its journal" "$("$CODOPS" history test -o json | jq -c '.entries[-1] | [.version, .result, .message]')" \
  '["v1.0.0","ok","its record is gone; told from its journal"]'
expect "history names what is damaged" "$("$CODOPS" history test | grep -c '^damaged: meta/history')" 1
expect "and status says which release serves" "$("$CODOPS" status test -o json | jq -c '[.version, .healthy]')" '["v1.0.0",true]'
cp "$WORK/record" "$record"
sed -i 's/"by": *"[^"]*"/"by":"mallory"/' "$record"
rc=0
"$CODOPS" status test --check >"$WORK/out" 2>&1 || rc=$?
expect "a changed record is named, and is no drift that a deploy could mend" "$rc $(grep -c 'altered ' "$WORK/out") $(grep -c 'to mend it' "$WORK/out")" "0 1 0"
cp "$WORK/record" "$record"

number=$("$CODOPS" status test -o json | jq .release)
release=$(printf '%s/meta/releases/%06d.json' "$state" "$number")
cp "$release" "$WORK/record"
echo rubbish >"$release"
expect "the record of the release that serves is rubbish: told from its journal" "$("$CODOPS" status test -o json | jq -c '[.version, .healthy, (.damaged | length)]')" '["v1.0.0",true,1]'
cp "$WORK/record" "$release"
definitions=$(printf '%s/secrets/%06d.json' "$state" $((number - 1)))
mv "$definitions" "$WORK/record"
before=$(fingerprint)
rc=0
"$CODOPS" rollback test >"$WORK/out" 2>&1 || rc=$?
expect "the definitions of the release before are gone: a rollback is refused, nothing is changed" \
  "$rc $(grep -c 'are gone' "$WORK/out")$(diff <(fingerprint) <(echo "$before") | head -n 3)" "65 1"
mv "$WORK/record" "$definitions"

hold after:switch deploy test v1.1.0
kill -KILL "$holder"
wait "$holder" 2>/dev/null || true
holder=
rm -f "$(entry_of "$(runs | tail -n 1)")"
resumes
expect "the last entry, that traffic was moved, is gone: where the proxy leads tells it" "$(converged "$(serving=$("$CODOPS" status test -o json | jq -r .version); echo "$serving")" || true)" ""
expect "and it is said" "$(grep -c 'traffic was moved further than the journal' "$WORK/out")" 1

# ---- somebody's hands in mid-run
check "v1.1.0 serves" tiny_deploy v1.1.0
hold after:switch deploy test v1.0.0
webs v1.1.0 | xargs docker rm -f >/dev/null
kill -KILL "$holder"
wait "$holder" 2>/dev/null || true
holder=
resumes
expect "the old set is removed and the run dies: finished forward" "$(converged v1.0.0 || true)" ""
check "and why" grep -q 'what served before it' "$WORK/out"

for how in ${CODOPS_FULL:+"stop -t 1"} "rm -f"; do
  check "v1.1.0 serves" tiny_deploy v1.1.0
  hold after:switch deploy test v1.0.0
  # shellcheck disable=SC2086
  webs v1.1.0 | xargs docker $how >/dev/null
  kill -TERM "$holder"
  go_on
  expect "SIGTERM after docker $how of the old set: exit" "$holder_rc" 143
  expect "the old set is brought back before traffic is" "$(converged v1.1.0 || true)" ""
  hold after:start deploy test v1.0.0
  # shellcheck disable=SC2086
  webs v1.1.0 | xargs docker $how >/dev/null
  kill -TERM "$holder"
  go_on
  expect "the same before traffic moved" "$holder_rc $(converged v1.1.0 || true)" "143 "
done
hold after:start deploy test v1.0.0
docker rm -f "$front" >/dev/null
go_on
expect "the proxy is removed in mid-deploy: fails" "$((holder_rc != 0))" 1
expect "and is there again" "$(converged v1.1.0 || true)" ""

# ---- between runs
docker exec "$front" sh -c 'sed -i "s/server [0-9.]*/server 127.0.0.9/" /etc/nginx/upstreams/codops.conf && nginx -s reload'
rc=0
"$CODOPS" status test --check >"$WORK/out" 2>&1 || rc=$?
expect "the proxy's file was changed: status --check" "$rc $(grep -c 'leads elsewhere' "$WORK/out")" "2 1"
rc=0
"$CODOPS" deploy test v1.1.0 >"$WORK/out" 2>&1 || rc=$?
expect "the next deploy of the same version puts it right" "$rc $(converged v1.1.0 || true)" "0 "
docker network disconnect "${PROJECT}_codops" "$front"
rc=0
"$CODOPS" deploy test v1.1.0 >"$WORK/out" 2>&1 || rc=$?
expect "the proxy off the network of traffic: put right too" "$rc $(converged v1.1.0 || true)" "0 "
for version in ${CODOPS_FULL:+v1.1.0} v1.0.0; do
  # shellcheck disable=SC2046
  docker stop -t 1 "$front" $(docker ps --filter "label=com.docker.compose.project=$PROJECT" --filter label=com.docker.compose.service=web --format '{{.Names}}') >/dev/null
  rc=0
  "$CODOPS" deploy test "$version" >"$WORK/out" 2>&1 || rc=$?
  expect "everything stopped, then a deploy of $version" "$rc $(converged "$version" || true)" "0 "
  ((rc == 0)) || tail -n 5 "$WORK/out"
done
# shellcheck disable=SC2046
docker stop -t 1 "$front" $(docker ps --filter "label=com.docker.compose.project=$PROJECT" --filter label=com.docker.compose.service=web --format '{{.Names}}') >/dev/null
rc=0
"$CODOPS" rollback test >"$WORK/out" 2>&1 || rc=$?
expect "everything stopped, then a rollback" "$rc $(converged v1.1.0 || true)" "0 "

# ---- the state is lost
docker rm -f "codops-$PROJECT-state" >/dev/null
docker volume rm "codops-$PROJECT-state" >/dev/null
check "the state is lost: the next deploy takes over what runs" tiny_deploy v1.0.0
rc=0
"$CODOPS" rollback test >"$WORK/out" 2>&1 || rc=$?
expect "and what it said is kept can be gone back to" "$rc $(served)" "0 v1.1.0"
((rc == 0)) || tail -n 3 "$WORK/out"

# Beside what serves there may be what a dead run had begun, before its switch and after it.
for point in ${CODOPS_FULL:+after:start} after:switch; do
  served=$(served)
  if [[ $served == v1.0.0 ]]; then other=v1.1.0; else other=v1.0.0; fi
  CODOPS_TEST_KILL=$point "$CODOPS" deploy test "$other" >/dev/null 2>&1 || true
  docker ps -aq --filter "name=^/codops-$PROJECT-" | xargs docker rm -f >/dev/null
  docker volume rm "codops-$PROJECT-state" >/dev/null
  check "killed $point, the state is lost: the next deploy" tiny_deploy "$other"
  expect "one release serves alone" "$(converged "$other" || true)" ""
done

# The networks went with it.
served=$(served)
if [[ $served == v1.0.0 ]]; then other=v1.1.0; else other=v1.0.0; fi
CODOPS_TEST_KILL=after:settle "$CODOPS" deploy test "$other" >/dev/null 2>&1 || true
for network in codops default; do
  for name in $(docker ps --filter "label=com.docker.compose.project=$PROJECT" --format '{{.Names}}'); do docker network disconnect -f "${PROJECT}_$network" "$name" 2>/dev/null || true; done
  docker network rm "${PROJECT}_$network" >/dev/null
done
began=$SECONDS
"$CODOPS" resume test >"$WORK/out" 2>&1 || true
expect "killed after the switch, both networks removed: the new set is on them again, and resume goes forward" "$(converged "$other" || true) $((SECONDS - began < 30))" " 1"

# ---- what a dead run leaves to whoever recovers it
cat >>codops.yaml <<'YAML'
hooks:
  post_deploy: [{ run: [sh, -c, 'echo "$CODOPS_VERSION" >>post'] }]
  on_failure: [{ run: [sh, -c, 'echo "$CODOPS_VERSION" >>failed'] }]
YAML
served=$(served)
if [[ $served == v1.0.0 ]]; then other=v1.1.0; else other=v1.0.0; fi
CODOPS_TEST_KILL=after:start "$CODOPS" deploy test "$other" >/dev/null 2>&1 || true
resumes
expect "undone by the next command: on_failure ran" "$(cat failed 2>/dev/null)" "$other"
number=$("$CODOPS" history test -o json | jq '.entries[-1].number')
expect "and evidence is kept" "$("$CODOPS" history test "$number" -o json | jq '.evidence.containers | length > 0')" true
CODOPS_TEST_KILL=before:record "$CODOPS" deploy test "$other" >/dev/null 2>&1 || true
resumes
expect "finished by the next command: post_deploy ran" "$(cat post 2>/dev/null)" "$other"
finish
