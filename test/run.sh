#!/usr/bin/env bash
# Builds and runs the whole test suite; arguments go to ctest (test/run.sh -R breaker).
set -euo pipefail
trap 'echo "test/run.sh: failed: $step" >&2' ERR

say() {
  step=$1
  echo "$step"
}

cd "$(dirname "${BASH_SOURCE[0]}")/.."

say "Checking packages"
cmake/install-deps.sh test
say "Configuring build/dev"
cmake --preset dev --log-level=NOTICE
say "Building"
cmake --build --preset dev
say "Testing"
ctest --preset dev "$@"
