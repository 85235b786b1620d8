#!/usr/bin/env bash
# setup-dev and the package managers: each installs by its lockfile, a second run does nothing, what a developer has linked stays,
# and an install that was killed half way is done again.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../support/case.sh"
# shellcheck source=tests/support/checkout.sh
source "$SUPPORT/checkout.sh"
command -v npm >/dev/null || { skip "npm" "npm is not installed"; finish; }
unset npm_config_cache
export npm_config_cache=$WORK/npm npm_config_store_dir=$WORK/pnpm YARN_CACHE_FOLDER=$WORK/yarn
programs=$("$SUPPORT/managers.sh" 2>/dev/null) || programs=

# A package in a file, and a newer one that its developer works on.
mkdir -p "$WORK/package" "$WORK/src/money"
printf '{"name":"money","version":"1.0.0","main":"index.js"}' >"$WORK/package/package.json"
echo 'module.exports = "registry"' >"$WORK/package/index.js"
tar -czf "$WORK/money.tgz" -C "$WORK" package
printf '{"name":"money","version":"2.0.0","main":"index.js"}' >"$WORK/src/money/package.json"
echo 'module.exports = "mine"' >"$WORK/src/money/index.js"

project() { # DIR MANAGER: a checkout with a lockfile, nothing installed
  mkdir -p "$1" && cd "$1" && cp "$WORK/money.tgz" .
  printf '{"name":"shop","private":true,"dependencies":{"money":"file:./money.tgz"}}\n' >package.json
  case $2 in
    npm) npm install --package-lock-only ;;
    pnpm) pnpm install --lockfile-only ;;
    yarn) yarn install --non-interactive ;;
  esac >"$WORK/lock.out" 2>&1
  rm -rf node_modules
}
money() { node -p 'require("money")' 2>&1 | tail -n 1; }
# What a manager writes last.
unfinished() { rm -f node_modules/.package-lock.json node_modules/.modules.yaml node_modules/.yarn-integrity; }

for manager in npm pnpm yarn; do
  if [[ $manager != npm ]]; then
    [[ -n $programs ]] || { skip "$manager" "it can't be had from npm"; continue; }
    PATH=$programs:$PATH
  fi
  if ! project "$WORK/$manager shop" $manager; then fail "$manager: a lockfile" "$(tail -n 3 "$WORK/lock.out")"; continue; fi
  before=$(fingerprint .)
  expect "$manager installs by its lockfile" "$(code setup -o json) $(ending tools) $(ending install:root) $(money)" "0 unchanged done registry"
  expect "$manager: nothing but node_modules is new" "$(fingerprint .)" "$before"
  expect "$manager: again, nothing to do" "$(code setup -o json) $(ending install:root)" "0 unchanged"
  rm -rf node_modules/money && ln -s "$WORK/src/money" node_modules/money
  mkdir -p node_modules/@shop && ln -s ../../../src/money node_modules/@shop/extra
  expect "$manager: a link is no reason to install" "$(code setup -o json) $(ending install:root) $(money)" "0 unchanged mine"
  unfinished
  expect "$manager: an install leaves links" "$(code setup -o json) $(ending install:root) $(money) $(readlink node_modules/@shop/extra)" "0 done mine ../../../src/money"
  check "$manager: and says so" grep -q "still linked: @shop/extra -> $WORK/src/money, money" "$WORK/out"
  expect "$manager: what is behind the link is untouched" "$(cat "$WORK/src/money/index.js")" 'module.exports = "mine"'
  # Nothing to be had where it looks: it fails, and the links are there.
  mv money.tgz away.tgz
  rm -rf "$WORK/npm" "$WORK/pnpm" "$WORK/yarn" node_modules/.pnpm
  unfinished
  expect "$manager: an install that fails leaves links" "$(code setup -o json) $(ending install:root) $(money)" "1 failed mine"
  mv away.tgz money.tgz
  expect "$manager: and once it is mended all is well" "$(code setup -o json) $(ending install:root) $(money)" "0 done mine"
done

# ---- killed half way: codops and npm both, when node_modules is neither what it was nor what it will be
cd "$WORK/npm shop"
mkdir "$WORK/bin"
cat >"$WORK/bin/npm" <<'SH'
#!/bin/sh
[ "$1" = --version ] && exec "$REAL_NPM" "$@"
rm -rf node_modules && mkdir -p node_modules/money && echo '{"name":"mo' >node_modules/money/package.json
kill -KILL $PPID
kill -KILL $$
SH
chmod 755 "$WORK/bin/npm"
REAL_NPM=$(command -v npm)
export REAL_NPM
rm node_modules/.package-lock.json
expect "npm ci killed half way" "$(PATH=$WORK/bin:$PATH code setup -o json)" 137
expect "the next run knows that it is unfinished" "$(code "$CODOPS" doctor -o json) $(jq -r '.steps[] | select(.name == "install:root") | .text' "$WORK/code.out")" "2 node_modules is unfinished; the one from before is kept"
expect "and installs, the links too" "$(code setup -o json) $(ending install:root) $(money) $(readlink node_modules/@shop/extra)" "0 done mine ../../../src/money"

# ---- an install that fails after npm has removed what was there: the tree that worked is back, whole, and again after a kill
rm -f node_modules/money node_modules/@shop/extra && rmdir node_modules/@shop
rm node_modules/.package-lock.json
expect "a tree as the lockfile has it" "$(code setup -o json) $(ending install:root) $(money)" "0 done registry"
tree() { (find node_modules | LC_ALL=C sort; find node_modules -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum) | sha256sum; }
whole=$(tree)
cp package-lock.json "$WORK/lock.good"
jq '.packages["node_modules/money"].integrity = "sha512-" + ("A" * 86) + "=="' "$WORK/lock.good" >package-lock.json
expect "another package than the lockfile has: fails" "$(code setup -o json) $(ending install:root)" "1 failed"
check "for that reason" grep -q EINTEGRITY "$WORK/out"
expect "and costs nothing that worked" "$(tree) $(money)" "$whole registry"
check "which is told" grep -q 'node_modules.* is as it was before' "$WORK/out"
cp package-lock.json "$WORK/lock.bad"
cp "$WORK/lock.good" package-lock.json
expect "with the lockfile of before there is nothing to do" "$(code setup -o json) $(ending install:root)" "0 unchanged"
cp "$WORK/lock.bad" package-lock.json
expect "killed half way" "$(PATH=$WORK/bin:$PATH code setup -o json)" 137
expect "and the next install fails: what was there before is back" "$(code setup -o json) $(ending install:root) $(tree)" "1 failed $whole"
expect "killed half way again" "$(PATH=$WORK/bin:$PATH code setup -o json)" 137
cp "$WORK/lock.good" package-lock.json
npm ci --no-audit --no-fund >/dev/null 2>&1 && echo mine >node_modules/money/by-hand
mv money.tgz away.tgz && npm cache clean --force >/dev/null 2>&1
expect "what was installed by hand after a kill is not replaced by the older" "$(code setup -o json) $(ending install:root) $(cat node_modules/money/by-hand)" "1 failed mine"
mv away.tgz money.tgz && cp "$WORK/lock.good" package-lock.json
expect "and with it all is well, nothing is left aside" "$(code setup -o json) $(ending install:root) $(money) $(find .codops/dev -name 'modules-*' | wc -l)" "0 done registry 0"

# ---- no network
mkdir "$WORK/far" && cd "$WORK/far"
printf '{"name":"far","private":true,"dependencies":{"money":"1.0.0"}}\n' >package.json
printf '{"name":"far","lockfileVersion":3,"packages":{"":{"name":"far","dependencies":{"money":"1.0.0"}},"node_modules/money":{"version":"1.0.0","resolved":"http://127.0.0.1:9/money.tgz"}}}\n' >package-lock.json
expect "a registry that can't be reached" "$(npm_config_offline=false npm_config_fetch_retries=0 code setup -o json) $(ending install:root)" "1 failed"
check "is told with npm's own words and where to look" grep -q ECONNREFUSED "$WORK/out"
check "not with the command that has just failed" grep -q '"hint":"the registry can.t be reached' "$WORK/out"
cd "$WORK/npm shop"

# ---- a checkout inside node_modules is somebody's work
rm -rf node_modules/money node_modules/.package-lock.json && mkdir -p node_modules/money/.git && echo 'hours of work' >node_modules/money/work.js
expect "a git checkout in node_modules is not removed" "$(code setup -o json) $(ending install:root) $(cat node_modules/money/work.js)" "1 failed hours of work"
check "and the way out is told" grep -q -- '--skip install:root' "$WORK/out"
finish
