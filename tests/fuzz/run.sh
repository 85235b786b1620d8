#!/bin/sh
# Builds the fuzzers with clang (libFuzzer, address and undefined-behaviour sanitizers) and runs each for SECONDS (60).
# Corpora and findings stay in build/fuzz. By hand: it is no part of the suite.
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-60}
mkdir -p build/fuzz/text
clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -DFMT_HEADER_ONLY -I. \
  tests/fuzz/text_fuzzer.cpp lib/text/*.cpp lib/compose/short_syntax.cpp lib/base/failure.cpp lib/base/units.cpp \
  -lyaml-cpp -o build/fuzz/text_fuzzer
build/fuzz/text_fuzzer -max_total_time="$seconds" -max_len=512 -timeout=5 -artifact_prefix=build/fuzz/ build/fuzz/text
