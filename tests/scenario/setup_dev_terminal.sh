#!/usr/bin/env bash
# setup-dev on a terminal (tmux's, whose screen is what a person would see): the questions and what an answer does, steps that run
# side by side, live, and Ctrl-C.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
# shellcheck source=tests/support/checkout.sh
source "$SUPPORT/checkout.sh"
command -v tmux >/dev/null || { skip "terminal" "tmux is not installed"; finish; }
[[ -n $(compgen -G '/usr/lib/postgresql/*/bin/postgres') ]] && command -v redis-server >/dev/null || { skip "servers" "PostgreSQL or Redis is not installed"; finish; }
unset CI GITHUB_ACTIONS NO_COLOR TMUX
export LC_ALL=C.UTF-8
quick=(--skip "install,generate,seed")

# A server for each session: one that is told to end takes its time.
sessions=0
terminal() { tmux -u -S "$WORK/t$sessions" -f /dev/null "$@"; }
clean_up() {
  terminal kill-server 2>/dev/null || true
  down_all
}
# codops on a screen of 110 columns, in the current directory; its exit code will be in $WORK/ended.
begin() {
  terminal kill-server 2>/dev/null || true
  sessions=$((sessions + 1))
  rm -f "$WORK/ended"
  # The pane stays for a look when codops has ended.
  terminal new-session -d -x 110 -y 40 "$(printf '%q ' "$CODOPS" "$@"); echo \$? >'$WORK/code.part'; mv '$WORK/code.part' '$WORK/ended'; exec sleep 600"
}
screen() { terminal capture-pane -p -S - -J; }
shows() { # TEXT...: all of them at once
  local seen text
  seen=$(screen) || return 1
  for text in "$@"; do grep -qF -- "$text" <<<"$seen" || return 1; done
}
ended() { # its exit code
  wait_for 60 test -e "$WORK/ended" || { echo "still there: $(screen | tail -n 3)"; return; }
  cat "$WORK/ended"
}

# ---- a port that somebody else has: the question names the holder and everything that would change
app="$WORK/my shop"
clone "$app"
cd "$app"
setup --only env || true
listen_on 5432
before=$(sha256sum .env)
begin setup-dev "${quick[@]}"
if wait_for 20 shows "[y/N]"; then pass "the question comes"; else fail "the question comes" "$(screen)"; fi
asked=$(screen | tr -s ' \n' ' ')
check "with the holder's name and number" grep -qF "Port 5432 is taken by python3 (pid $listener, user $(id -un)" <<<"$asked"
check "with every value that would change" grep -qF "Change POSTGRES_PORT in .env and DATABASE_URL in .env to port 5433?" <<<"$asked"
terminal send-keys n Enter
expect "n ends it" "$(ended)" 1
expect "without a change, without a server" "$(sha256sum .env) $(find .codops/dev -name "*postgres*" | wc -l) $(ls -A .codops/dev/replaced 2>/dev/null | wc -l)" "$before 0 0"
check "and says what to do" shows "end that process, or let codops move"
begin setup-dev "${quick[@]}"
wait_for 20 shows "[y/N]"
terminal send-keys Enter
expect "Enter alone is no" "$(ended) $(sha256sum .env)" "1 $before"
begin setup-dev "${quick[@]}"
wait_for 20 shows "[y/N]"
terminal send-keys C-c
expect "Ctrl-C at the question" "$(ended) $(sha256sum .env)" "130 $before"
begin setup-dev "${quick[@]}"
wait_for 20 shows "[y/N]"
terminal send-keys y Enter
expect "y goes on" "$(ended)" 0
expect "with the new port everywhere" "$(grep -cE '^(POSTGRES_PORT=5433|DATABASE_URL=.*@127.0.0.1:5433/shop)$' .env) $(grep -c 5432 .env)" "2 0"
expect "a copy of the file as it was" "$(sha256sum <.codops/dev/replaced/.env.* | cut -c1-64)" "${before%% *}"
expect "and the database there" "$("$CODOPS" dev psql -- -Atc 'SELECT count(*), current_setting('"'port'"') FROM _prisma_migrations')" "3|5433"
check "the summary says so" shows "ready without install, generate, seed · local backend" "127.0.0.1:5433/shop" "DATABASE_URL in .env" "codops setup-dev --down"
kill "$listener"

# ---- --reset says what is lost, and asks
"$CODOPS" dev psql -- -qc "CREATE TABLE mine (); " >/dev/null
begin setup-dev "${quick[@]}" --reset
wait_for 20 shows "[y/N]"
check "what is lost is said first" shows "This is lost for good:" "every database of the local PostgreSQL" "Remove it? [y/N]"
terminal send-keys n Enter
expect "n removes nothing" "$(ended) $("$CODOPS" dev psql -- -Atc "SELECT to_regclass('mine')")" "64 mine"
check "and says so" shows "nothing was removed"
begin setup-dev "${quick[@]}" --reset
wait_for 20 shows "[y/N]"
terminal send-keys y Enter
expect "y starts anew" "$(ended) $("$CODOPS" dev psql -- -Atc "SELECT to_regclass('mine'), count(*) FROM _prisma_migrations")" "0 |3"
expect "down" "$(code setup --down)" 0

# ---- steps side by side: both are on the screen while both run, each with its newest line; what has ended stays above
mkdir "$WORK/two" && cd "$WORK/two"
cat >codops.yaml <<'Y'
project: two
setup_dev: {generate: [{run: [./work, slow]}, {run: [./work, quick]}]}
Y
cat >work <<'SH'
#!/usr/bin/env bash
echo $$ >"$1.pid"
echo "$1 at work"
until [[ -e $1.go ]]; do sleep 0.05; done
SH
chmod 755 work
begin setup-dev
if wait_for 20 shows "slow at work" "quick at work"; then pass "both are seen at work"; else fail "both are seen at work" "$(screen)"; fi
touch quick.go
wait_for 20 shows "✓ generate:2"
expect "one has ended, the other is still seen, below it" "$(screen | grep -oE '✓ generate:2|slow at work' | tr '\n' ' ')" "✓ generate:2 slow at work "
touch slow.go
expect "both are done" "$(ended)" 0
check "and told once each" test "$(screen | grep -c 'generate:1')$(screen | grep -c 'generate:2')" = 11
check "nothing of the live view is left" test "$(screen | grep -c 'at work')" = 0

# ---- Ctrl-C: what runs ends, children too, and the next run goes on
rm -rf .codops slow.go quick.go
begin setup-dev
wait_for 20 shows "slow at work" "quick at work"
child=$(cat slow.pid)
terminal send-keys C-c
expect "Ctrl-C" "$(ended)" 130
check "no child is left" test ! -e "/proc/$child"

# ---- the window is closed
rm -rf .codops slow.go quick.go slow.pid
begin setup-dev
wait_for 20 shows "slow at work" "quick at work"
child=$(cat slow.pid)
terminal kill-server
check "a closed window: no child is left" wait_for 20 test ! -e "/proc/$child"
touch slow.go quick.go
expect "the next run does what was not done" "$(code setup -o json) $(ending generate:1) $(ending generate:2)" "0 done done"
finish
