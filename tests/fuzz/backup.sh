#!/bin/sh
# Builds the backup fuzzer with clang (libFuzzer, address and undefined-behaviour sanitizers) and runs it for SECONDS (60) on each of
# its readers. The age vectors of CODOPS_TEST_DATA, when set, are among its seeds. By hand: it is no part of the suite.
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-60}
mkdir -p build/fuzz/objects
rm -f build/fuzz/*-crash-* build/fuzz/*-timeout-* build/fuzz/*-oom-*
CXXFLAGS='-std=c++20 -g -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -DFMT_HEADER_ONLY -include cmake/precompiled.hpp -I.'
export CXXFLAGS
# shellcheck disable=SC2016
printf '%s\n' tests/fuzz/backup_fuzzer.cpp lib/backup/custom_archive.cpp lib/backup/manifest.cpp lib/backup/rdb.cpp lib/backup/sql_script.cpp lib/backup/sql_words.cpp \
  lib/backup/dump_needs.cpp lib/backup/database_settings.cpp lib/backup/metrics.cpp lib/base/*.cpp lib/text/sql_*.cpp lib/text/printable.cpp \
  lib/io/crypto*.cpp lib/io/compression.cpp lib/io/byte_stream.cpp lib/io/bech32.cpp lib/io/row_digest.cpp lib/io/files.cpp lib/io/fd.cpp lib/io/tar.cpp \
  lib/io/postgres_target.cpp lib/store/lock_text.cpp lib/store/process_identity.cpp lib/store/s3_xml.cpp |
  xargs -P "${CODOPS_FUZZ_JOBS:-2}" -I '{}' sh -c 'object=build/fuzz/objects/$(echo "$1" | tr / _).o
    [ "$object" -nt "$1" ] || ${CLANG:-clang++} $CXXFLAGS -I/usr/include/postgresql -c "$1" -o "$object"' sh '{}'
${CLANG:-clang++} -fsanitize=fuzzer,address,undefined build/fuzz/objects/*.o -lcrypto -lz -lzstd -larchive -lpqxx -lpq -lxxhash -lpthread -o build/fuzz/backup_fuzzer

# One seed at least for each reader: the first byte chooses it.
seed() { # READER NAME: its content from stdin
  mkdir -p "build/fuzz/backup/$1"
  # shellcheck disable=SC2059
  { printf "\\$(printf %03o "$1")"; cat; } >"build/fuzz/backup/$1/$2"
}
if [ -n "${CODOPS_TEST_DATA:-}" ]; then
  for vector in "$CODOPS_TEST_DATA"/age/*; do sed '1,/^$/d' "$vector" | seed 0 "$(basename "$vector")"; done
fi
printf 'age-encryption.org/v1\n-> X25519 abc\n' | seed 0 head
printf 'PGDMP\001\016\000\004\010\001\001' | seed 1 head
printf '{"codops_backup":1,"label":"20261123-101500F","parts":[],"tables":[]}' | seed 2 manifest
printf 'some text' | gzip -c | seed 3 text
printf 'some text' | zstd -qc | seed 4 text
seed 5 dump <<'SQL'
-- Dumped by pg_dump version 15.1
CREATE TABLE public.t (a int, b text DEFAULT E'a\'b');
COPY public.t (a, b) FROM stdin;
1	\N
\.

SELECT $q$;$q$;
-- PostgreSQL database dump complete
SQL
for reader in 6 7; do
  printf 'REDIS0011\372\011redis-ver\0057.0.0\376\000\373\001\000\000\001a\001b\376\001\000\001c\001d\377\000\000\000\000\000\000\000\000' | seed $reader keys
done
printf 'x' >build/fuzz/one && tar -C build/fuzz -cf - one | seed 8 archive
printf '<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a&amp;b</Key><Size>1</Size></Contents></ListBucketResult>' | seed 9 page
printf '{"host":"a","pid":1,"boot_id":"b"}' | seed 10 lock
printf 'age1abc' | seed 11 key
for reader in 0 1 2 3 4 5 6 7 8 9 10 11; do
  echo "reader $reader"
  CODOPS_FUZZ_READER=$reader build/fuzz/backup_fuzzer -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=2048 -verbosity=0 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/$reader-" "build/fuzz/backup/$reader" 2>&1 | grep -E 'number_of_executed_units|ERROR|SUMMARY|panic|Test unit' || true
done
if ls build/fuzz/*-crash-* build/fuzz/*-timeout-* build/fuzz/*-oom-* 2>/dev/null; then exit 1; fi
