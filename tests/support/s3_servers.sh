#!/usr/bin/env bash
# Real S3 servers for the tests, into CODOPS_TEST_CACHE/s3, once: versitygw (built with go) and moto (from PyPI). Prints what
# could not be had; the tests that need it say that they were skipped.
set -euo pipefail
place=${CODOPS_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/codops-tests}/s3
versity=v1.8.0 moto=5
mkdir -p "$place/bin"
failed=0
if [[ ! -x $place/bin/versitygw ]]; then
  PATH=$PATH:/usr/local/go/bin
  if ! command -v go >/dev/null || ! GOBIN=$place/bin go install "github.com/versity/versitygw/cmd/versitygw@$versity"; then
    echo "no versitygw: it needs go and the network" >&2
    failed=1
  fi
fi
if [[ ! -x $place/moto/bin/moto_server ]]; then
  rm -rf "$place/moto"
  if ! { python3 -m venv "$place/moto" && "$place/moto/bin/pip" install -q "moto[s3,server]>=$moto"; }; then
    rm -rf "$place/moto"
    echo "no moto: it needs python3-venv and the network" >&2
    failed=1
  fi
fi
exit "$failed"
