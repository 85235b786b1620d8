#!/usr/bin/env bash
# setup-dev and the package managers: each installs by its lockfile, a second run does nothing, what a developer has linked stays,
# and an install that was killed half way is done again.
# shellcheck source=tests/support/case.sh
source "$(dirname "$0")/../../support/case.sh"
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

# ---- half of it removed, though the managers' own records say that all is there
mkdir -p "$WORK/coin/package"
printf '{"name":"coin","version":"1.0.0","main":"index.js"}' >"$WORK/coin/package/package.json"
echo 'module.exports = "coin"' >"$WORK/coin/package/index.js"
tar -czf "$WORK/coin.tgz" -C "$WORK/coin" package
for manager in npm pnpm yarn; do
  [[ $manager == npm || -n $programs ]] || continue
  mkdir "$WORK/$manager half" && cd "$WORK/$manager half" && cp "$WORK/money.tgz" "$WORK/coin.tgz" .
  printf '{"name":"half","private":true,"dependencies":{"money":"file:./money.tgz","coin":"file:./coin.tgz"}}\n' >package.json
  case $manager in
    npm) npm install --package-lock-only ;;
    pnpm) pnpm install --lockfile-only ;;
    yarn) yarn install --non-interactive && rm -rf node_modules ;;
  esac >"$WORK/lock.out" 2>&1
  expect "$manager: two packages" "$(code setup -o json) $(ending install:root)" "0 done"
  rm -rf node_modules/coin
  expect "$manager: one that was removed by hand comes back" "$(code setup -o json) $(ending install:root) $(node -p 'require("coin") + require("money")' 2>&1 | tail -n 1)" "0 done coinregistry"
  expect "$manager: and then there is nothing to do" "$(code setup -o json) $(ending install:root)" "0 unchanged"
  printf '{"name":"half","private":true,"dependencies":{"money":"file:./money.tgz","coin":"file:./coin.tgz","gold":"file:./coin.tgz"}}\n' >package.json
  rm -rf node_modules
  expect "$manager: a lockfile that disagrees is told with what writes it anew" "$(code setup -o json) $(ending install:root) $(jq -r '.steps[] | select(.name == "install:root") | .hint' "$WORK/out" | grep -cE "^\($manager install[a-z -]*\) writes ")" "1 failed 1"
  check "$manager: and with its own reason" grep -qE 'in sync|OUTDATED_LOCKFILE|needs to be updated' "$WORK/out"
  sed -i 's/,"gold":"[^"]*"//' package.json
  expect "$manager: put back, all is well" "$(code setup -o json) $(ending install:root)" "0 done"
done

# ---- workspaces: their packages' examples and migrations are found; what was removed by hand comes back
for manager in npm pnpm; do
  [[ $manager == npm || -n $programs ]] || continue
  mkdir -p "$WORK/$manager members/packages/api/prisma/migrations/1_a" "$WORK/$manager members/packages/old" && cd "$WORK/$manager members" && cp "$WORK/money.tgz" .
  echo 'JWT_SECRET=change-me' | tee packages/api/.env.example >packages/old/.env.example
  printf '{"name":"api","version":"1.0.0","dependencies":{"money":"file:../../money.tgz"}}\n' >packages/api/package.json
  printf '{"name":"old","version":"1.0.0"}\n' >packages/old/package.json
  case $manager in
    npm) printf '{"name":"all","private":true,"workspaces":["packages/*"]}\n' >package.json && rm -r packages/old && npm install --package-lock-only ;;
    pnpm) printf '{"name":"all","private":true}\n' >package.json && printf 'packages:\n  - "packages/**"\n  - "!packages/old"\n' >pnpm-workspace.yaml ;;
  esac >"$WORK/lock.out" 2>&1
  expect "$manager workspace: set up" "$(code setup -o json) $(ending install:root)" "0 done"
  expect "$manager workspace: a package's .env is made, and only a member's" "$(grep -cE '^JWT_SECRET=[0-9a-f]{32}' packages/api/.env) $(test -e packages/old/.env; echo $?)" "1 1"
  expect "$manager workspace: again, nothing to do" "$(code setup -o json) $(ending install:root) $(test -e package-lock.json && echo npm)" "0 unchanged $([[ $manager == npm ]] && echo npm)"
  case $manager in
    npm) rm node_modules/api ;;
    pnpm) rm -r packages/api/node_modules ;;
  esac
  expect "$manager workspace: what was removed by hand comes back" "$(code setup -o json) $(ending install:root) $(cd packages/api && node -p 'require("money")' 2>&1 | tail -n 1) $(test -e node_modules/api -o $manager == pnpm; echo $?)" "0 done registry 0"
done

# ---- a program of a package
mkdir -p "$WORK/tool/package" "$WORK/programs" && cd "$WORK/programs"
printf '{"name":"tool","version":"1.0.0","bin":{"tool":"tool.js"}}' >"$WORK/tool/package/package.json"
printf '#!/usr/bin/env node\nconsole.log("tool")\n' >"$WORK/tool/package/tool.js"
tar -czf tool.tgz -C "$WORK/tool" package
printf '{"name":"programs","private":true,"dependencies":{"tool":"file:./tool.tgz"}}\n' >package.json
npm install --package-lock-only >"$WORK/lock.out" 2>&1
expect "a program: set up" "$(code setup -o json) $(ending install:root)" "0 done"
rm node_modules/.bin/tool
expect "a program that was removed by hand comes back" "$(code setup -o json) $(ending install:root) $(node_modules/.bin/tool)" "0 done tool"
expect "and then there is nothing to do" "$(code setup -o json) $(ending install:root)" "0 unchanged"

# ---- pnpm that wants to make node_modules anew, and can't: what worked is back
if [[ -n $programs ]]; then
  cd "$WORK/pnpm half"
  echo by-hand >node_modules/mine
  before=$(node -p 'require("coin") + require("money")')
  mv coin.tgz away.tgz && rm -f node_modules/.pnpm-workspace-state.json
  printf '\n' >>pnpm-lock.yaml
  for ci in '' 1; do
    expect "pnpm: with another store, offline, CI='$ci': fails" "$(CI=$ci npm_config_store_dir=$WORK/pnpm-other code setup -o json) $(ending install:root)" "1 failed"
    expect "pnpm: and costs nothing that worked, CI='$ci'" "$(node -p 'require("coin") + require("money")' 2>&1 | tail -n 1) $(cat node_modules/mine) $(find .codops/dev -name 'modules-*' | wc -l)" "$before by-hand 0"
    check "pnpm: which is told, CI='$ci'" grep -q 'node_modules.* is as it was before' "$WORK/out"
  done
  mv away.tgz coin.tgz
  expect "pnpm: and once it can, it is made anew" "$(npm_config_store_dir=$WORK/pnpm-other code setup -o json) $(ending install:root) $(node -p 'require("coin")') $(test -e node_modules/mine; echo $?)" "0 done coin 1"
fi

# ---- what generate and build make, once it is gone
mkdir "$WORK/made" && cd "$WORK/made"
printf '{"name":"made","private":true,"scripts":{"build":"mkdir -p dist && echo built >dist/index.js"}}\n' >package.json
cat >gen.sh <<'SH'
#!/bin/sh
[ -e broken ] || { mkdir -p src && echo made >src/gen.txt; }
SH
chmod 755 gen.sh
cat >codops.yaml <<'Y'
project: made
setup_dev:
  build: true
  generate:
    - run: [./gen.sh]
      outputs: [src/gen.txt]
Y
expect "generate and build" "$(code setup -o json) $(ending generate) $(ending build:root) $(cat src/gen.txt dist/index.js | xargs)" "0 done done made built"
expect "again: nothing to do" "$(code setup -o json) $(ending generate) $(ending build:root)" "0 unchanged unchanged"
rm -r src
expect "what generate made is gone: it runs again, alone" "$(code setup -o json) $(ending generate) $(ending build:root) $(cat src/gen.txt)" "0 done unchanged made"
rm -r dist
expect "so does a build" "$(code "$CODOPS" doctor) $(code setup -o json) $(ending generate) $(ending build:root) $(cat dist/index.js)" "2 0 unchanged done built"
rm dist/index.js
expect "an emptied folder is no output" "$(code setup -o json) $(ending build:root) $(cat dist/index.js)" "0 done built"
rm -r src && touch broken
expect "a command that does not make what it should" "$(code setup -o json) $(ending generate) $(grep -c 'src/gen.txt.*which codops.yaml names as its output, is not there' "$WORK/out")" "1 failed 1"
rm broken

# ---- Prisma's client: where its schema says, or in node_modules; npm's stub is none
mkdir -p "$WORK/prisma/prisma" "$WORK/prisma/node_modules/.bin" && cd "$WORK/prisma"
printf '{"name":"p","private":true,"dependencies":{"@prisma/client":"6.0.0"}}\n' >package.json
printf 'generator client {\n  provider = "prisma-client"\n  output   = "../src/generated"\n}\n' >prisma/schema.prisma
cat >node_modules/.bin/prisma <<'SH'
#!/bin/sh
mkdir -p src/generated && echo client >src/generated/client.ts
SH
chmod 755 node_modules/.bin/prisma
expect "Prisma's client" "$(code setup -o json --skip install,tools) $(ending generate) $(cat src/generated/client.ts)" "0 done client"
expect "is made once" "$(code setup -o json --skip install,tools) $(ending generate)" "0 unchanged"
rm -r src/generated
expect "and again once it is gone" "$(code setup -o json --skip install,tools) $(ending generate) $(cat src/generated/client.ts)" "0 done client"

# ---- the version that packageManager names
if [[ -n $programs ]]; then
  mkdir "$WORK/named" && cd "$WORK/named"
  named() { # VERSION: of pnpm, in package.json
    printf '{"name":"named","private":true,"packageManager":"pnpm@%s","dependencies":{}}\n' "$1" >package.json
    printf "lockfileVersion: '9.0'\n" >pnpm-lock.yaml
  }
  is=$(pnpm --version)
  named "$is"
  expect "the very version: nothing is said" "$(code "$CODOPS" doctor --only tools) $(grep -c names "$WORK/code.err")" "0 0"
  named 9.0.1
  expect "another of the same major: said, and no reason to stop" "$(code "$CODOPS" doctor --only tools) $(grep -c "pnpm is $is, and package.json names 9.0.1" "$WORK/code.err")" "0 1"
  named 8.15.9
  expect "another major: what is wanted and how to get it" "$(code setup -o json --only tools) $(ending tools) $(json '.steps[0].text') $(json '.steps[0].hint' | grep -c 'pnpm@8.15.9')" "1 failed \"pnpm is $is, and package.json names 8.15.9\" 1"
  if command -v corepack >/dev/null; then check "by corepack" grep -q 'corepack enable pnpm, whose pnpm is then 8.15.9 here' "$WORK/out"; fi
fi
cd "$WORK/npm shop"

# ---- killed half way: codops and npm both, when node_modules is neither what it was nor what it will be
cd "$WORK/npm shop"
mkdir "$WORK/bin"
cat >"$WORK/bin/npm" <<'SH'
#!/bin/sh
[ "$1" = --version ] && exec "$REAL_NPM" "$@"
rm -rf node_modules && mkdir -p node_modules/money && echo '{"name":"mo' >node_modules/money/package.json
# The parent is the guard, which would end this: codops is the guard's.
kill -KILL "$(cut -d' ' -f4 /proc/$PPID/stat)"
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
