# shellcheck shell=bash disable=SC2034  # what is not used here is used by who sources it
# What the scripts of this directory have in common; to be sourced, with their arguments.
set -Eeuo pipefail
export LC_ALL=C  # the decimal point
step=starting
trap 'echo "bench/peers/$(basename "$0"): failed: $step" >&2' ERR

say() {
  step=$1
  echo "$step"
}

rounds=${1-21}
if [[ ! $rounds =~ ^[1-9][0-9]*$ ]]; then
  echo "usage: bench/peers/$(basename "$0") [rounds]" >&2
  exit 2
fi

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
build=$root/build/peers
mkdir -p "$build"

# Builds these targets.
build() {
  say "Checking packages"
  "$root/cmake/install-deps.sh" peers
  say "Building Holdfast's benchmark"
  cmake -S "$root" -B "$build" -G Ninja --log-level=NOTICE -DCMAKE_BUILD_TYPE=Release \
    -DHOLDFAST_BENCH=ON -DHOLDFAST_TESTS=OFF -DHOLDFAST_EXAMPLES=OFF
  cmake --build "$build" --target "$@"
}

ours=($$)  # the processes that work for us, but for those that we wait for

# How long the processors have worked for others than us, in hundredths of a second.
others() {
  local user nice system irq softirq steal process stat all
  read -r _ user nice system _ _ irq softirq steal _ </proc/stat
  all=$((user + nice + system + irq + softirq + steal))
  for process in "${ours[@]}"; do
    read -ra stat <"/proc/$process/stat"
    # Of the fields of proc(5): its own time and that of the processes it waited for.
    all=$((all - stat[13] - stat[14] - stat[15] - stat[16]))
  done
  echo "$all"
}

begin() {
  before=$(others)
  began=${EPOCHREALTIME/./}
}

# How much others have taken of the processors since, as a percentage of one.
taken() {
  echo $((($(others) - before) * 1000000 / (${EPOCHREALTIME/./} - began)))
}

# What was measured: lines of "<row> <threads or measure> <side> <value> <percentage taken by others
# meanwhile>".
measured=$build/measured.$(basename "$0" .sh)

# Of each side's rounds of a row the half in which others took the least, and as quiet ones: sorted
# by value, so that a row's median is in the middle of what comes of it.
quieter_halves() {
  sort -k 5,5n "$measured" | awk '
    { line[NR] = $0; of[NR] = $1 " " $3; taken[NR] = $5; sorted[of[NR], ++count[of[NR]]] = $5 }
    END {
      for (i = 1; i <= NR; ++i) {
        if (taken[i] <= sorted[of[i], int((count[of[i]] + 1) / 2)]) print line[i]
      }
    }' | sort -k 4,4g
}

# For awk, which reads that: take() of each line, then median().
# shellcheck disable=SC2016
medians='
  function take() {
    if ($5 > most) most = $5
    key = $1 " " $2 " " $3
    value[key, ++count[key]] = $4
  }
  function median(row, of, side,    key, half) {
    key = row " " of " " side
    if (!(key in count)) {
      print "no figure for " key >"/dev/stderr"
      exit failed = 1
    }
    half = count[key] / 2
    return half % 1 ? value[key, half + 0.5] : (value[key, half] + value[key, half + 1]) / 2
  }'

machine() {
  echo "$("${CXX-c++}" --version | head -n 1);" \
    "$(nproc) processors, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
}
