#!/bin/sh
# Builds the backup fuzzer with clang (libFuzzer, address and undefined-behaviour sanitizers) and runs it for SECONDS (60).
# The age vectors of CODOPS_TEST_DATA, when set, are its seeds. By hand: it is no part of the suite.
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-60}
mkdir -p build/fuzz/backup
if [ -n "${CODOPS_TEST_DATA:-}" ]; then
  for vector in "$CODOPS_TEST_DATA"/age/*; do
    { printf '\0'; sed '1,/^$/d' "$vector"; } >"build/fuzz/backup/$(basename "$vector")"
  done
fi
clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -DFMT_HEADER_ONLY -include cmake/precompiled.hpp -I. \
  tests/fuzz/backup_fuzzer.cpp lib/backup/custom_archive.cpp lib/backup/manifest.cpp lib/base/failure.cpp lib/base/clock.cpp \
  lib/base/secret.cpp lib/io/crypto*.cpp lib/io/compression.cpp lib/io/byte_stream.cpp lib/io/bech32.cpp lib/io/row_digest.cpp \
  -lcrypto -lz -lzstd -o build/fuzz/backup_fuzzer
build/fuzz/backup_fuzzer -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=2048 -artifact_prefix=build/fuzz/ build/fuzz/backup
