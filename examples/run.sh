#!/usr/bin/env bash
# Builds and runs the demo, which leaves its picture in the current directory; arguments go to it
# (examples/run.sh --help).
set -euo pipefail
trap 'echo "examples/run.sh: failed: $step" >&2' ERR

say() {
  step=$1
  echo "$step"
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build/examples

say "Checking packages"
"$root/cmake/install-deps.sh" examples
say "Configuring build/examples"
cmake -S "$root" -B "$build" -G Ninja --log-level=NOTICE \
  -DCMAKE_BUILD_TYPE=Release -DHOLDFAST_TESTS=OFF -DHOLDFAST_BENCH=OFF
say "Building"
cmake --build "$build" --target demo
exec "$build/examples/demo" "$@"
