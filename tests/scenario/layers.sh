#!/usr/bin/env bash
# The house's layers (README, "The house"): an include goes down, never up, never sideways; a third-party header is
# included in its one room only.
source "$(dirname "${BASH_SOURCE[0]}")/../support/case.sh"
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

declare -A rank=([base]=0 [io]=1 [text]=1 [target]=2 [compose]=3 [kube]=3 [store]=3 [plan]=3 [settings]=3
  [engine]=4 [release]=4 [backup]=4 [migrate]=4 [health]=4 [scaffold]=4 [notify]=4 [ops]=5)

upward=''
while IFS=: read -r file include; do
  from=${file#lib/} from=${from%%/*}
  to=${include#*\"lib/} to=${to%%/*}
  [[ $from == "$to" ]] && continue
  ((${rank[$to]:-9} < ${rank[$from]:--1})) || upward+="$file includes $to"$'\n'
done < <(grep -rHoE '^#include "lib/[a-z]+/' lib --include=*.cpp --include=*.hpp)
while IFS=: read -r file _; do upward+="$file includes commands or cli"$'\n'; done \
  < <(grep -rHE '^#include "(commands|cli)/' lib --include=*.cpp --include=*.hpp)
while IFS=: read -r file _; do upward+="$file includes cli"$'\n'; done \
  < <(grep -rHE '^#include "cli/' commands --include=*.cpp --include=*.hpp)
if [[ -z $upward ]]; then pass "includes go down"; else fail "includes go down" "$upward"; fi

strangers=''
only_in() { # PATTERN FOLDER...
  local pattern=$1 file
  shift
  while IFS= read -r file; do
    local home=''
    for folder in "$@"; do [[ $file == "$folder"* ]] && home=1; done
    [[ -n $home ]] || strangers+="$file: $pattern"$'\n'
  done < <(grep -rlE "^#include <$pattern" lib commands cli --include=*.cpp --include=*.hpp || true)
}
only_in 'curl/' lib/io/
only_in '(libpq-fe\.h|pqxx/)' lib/io/
only_in 'hiredis/' lib/io/
only_in 'archive(_entry)?\.h' lib/io/
only_in '(zstd|zlib)\.h' lib/io/
only_in 'openssl/' lib/io/
only_in 'yaml-cpp/' lib/text/
only_in 'CLI/' cli/
# A header that shows a library may be included inside its own room only.
while IFS= read -r file; do
  room=${file%/*}
  if grep -rlF "#include \"$file\"" lib commands cli | grep -qv "^$room/"; then strangers+="$file shows a library to other rooms"$'\n'; fi
done < <(grep -rlE '^#include <(curl|pqxx|hiredis|archive|zstd|zlib|openssl|yaml-cpp|CLI|fmt|nlohmann/json\.hpp)' lib commands cli --include=*.hpp || true)
if [[ -z $strangers ]]; then pass "third-party headers stay in their rooms"; else fail "third-party headers stay in their rooms" "$strangers"; fi
finish
