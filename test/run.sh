#!/usr/bin/env bash
# Builds and runs the tests: all of them, or those of the families that are named first (test/run.sh
# rate breaker). Other arguments go to ctest (test/run.sh rate -R burst).
set -euo pipefail
trap 'echo "test/run.sh: failed: $step" >&2' ERR

say() {
  step=$1
  echo "$step"
}

cd "$(dirname "${BASH_SOURCE[0]}")/.."

families=()
while (($# > 0)) && [[ $1 != -* ]]; do
  families+=("$1")
  shift
done

say "Checking packages"
cmake/install-deps.sh test
say "Configuring build/dev"
cmake --preset dev --log-level=NOTICE
say "Building"
cmake --build --preset dev ${families[0]+--target $(printf 'holdfast_%s_tests ' "${families[@]}")}
say "Testing"
if ((${#families[@]} > 0)); then
  set -- -L "^($(IFS='|'; echo "${families[*]}"))(_|\$)" "$@"
fi
ctest --preset dev "$@"
