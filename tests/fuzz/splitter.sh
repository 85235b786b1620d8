#!/usr/bin/env bash
# Builds the splitter's fuzzer and runs it for SECONDS (60), with address and undefined-behaviour sanitizers: clang's libFuzzer where its runtime
# is installed, seeded with the texts of splitter_check.hpp's seeds and, when CODOPS_TEST_DATA names one, a folder of real migrations; else g++ and
# splitter_driver.cpp, which mutates the same seeds. By hand: the unit tests have a short run of the same checks.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
seconds=${1:-60}
build=build/fuzz
mkdir -p "$build/corpus"
sources=(lib/text/sql_{lexer,shape}.cpp lib/migrate/{splitter,words,statement,statement_alter,mode,lint,lint_rules,lint_report,order,checksum,script_error}.cpp lib/migrate/source*.cpp
  lib/base/{failure,secret,retry,cancel,clock}.cpp lib/io/{crypto,crypto_primitives,files,fd,tar}.cpp)
flags=(-std=c++20 -O1 -g -I. -include cmake/precompiled.hpp -fno-sanitize-recover=all -D_GLIBCXX_ASSERTIONS)
libraries=(-lfmt -lcrypto -larchive)
i=0
while IFS= read -r seed; do
  i=$((i + 1))
  printf "%b" "$seed" >"$build/corpus/seed$i"
done <<'SEEDS'
SELECT E'a\\';'; SELECT U&"x;" /* /* ; */ */; -- c
DO $$ BEGIN; END $$; DO $x$ $$;$$ $x$
CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN 1=1 THEN 2 END; END;
COPY t FROM stdin;\n1\t;\n\\.\nSELECT 1;\n\\set x
ALTER TABLE t ADD a int DEFAULT f(1, (2)), DROP b, ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES u(b) NOT VALID;
CREATE TABLE IF NOT EXISTS "A""b".c (i int, CHECK (i > 0), LIKE d INCLUDING ALL) PARTITION BY LIST (i);
-- codops-lint: allow drop-table because x\nDROP TABLE a, b CASCADE;
VACUUM (FULL, ANALYZE) a; REINDEX (CONCURRENTLY) TABLE b; ALTER TYPE e ADD VALUE 'x';
SEEDS
if [[ -d ${CODOPS_TEST_DATA:-/nowhere}/migrations ]]; then
  for file in "$CODOPS_TEST_DATA"/migrations/*/migration.sql; do cp "$file" "$build/corpus/real$((i += 1))"; done
fi
if echo 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }' |
  clang++ -x c++ - -fsanitize=fuzzer,address -o "$build/probe" 2>/dev/null; then
  clang++ "${flags[@]}" -fsanitize=fuzzer,address,undefined tests/fuzz/splitter_fuzzer.cpp "${sources[@]}" "${libraries[@]}" -o "$build/splitter"
  "$build/splitter" -max_total_time="$seconds" -max_len=4096 -print_final_stats=1 "$build/corpus" 2>&1 | tail -n 12
else
  g++ "${flags[@]}" -fsanitize=address,undefined tests/fuzz/splitter_driver.cpp "${sources[@]}" "${libraries[@]}" -o "$build/splitter"
  "$build/splitter" "$seconds"
fi
