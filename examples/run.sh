#!/usr/bin/env bash
# Builds and runs the demo, or the storm or watch_retries where that is the first argument; pictures
# are left in the current directory. Other arguments go to them (examples/run.sh storm --help, or
# examples/run.sh demo --serve for a page on which the demo can be watched).
set -euo pipefail
trap 'echo "examples/run.sh: failed: $step" >&2' ERR

say() {
  step=$1
  echo "$step"
}

program=demo
if [[ ${1-} == demo || ${1-} == storm || ${1-} == watch_retries ]]; then
  program=$1
  shift
fi
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build/examples

say "Checking packages"
"$root/cmake/install-deps.sh" examples
say "Configuring build/examples"
cmake -S "$root" -B "$build" -G Ninja --log-level=NOTICE \
  -DCMAKE_BUILD_TYPE=Release -DHOLDFAST_TESTS=OFF -DHOLDFAST_BENCH=OFF
say "Building"
cmake --build "$build" --target "$program"
exec "$build/examples/$program" "$@"
