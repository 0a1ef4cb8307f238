#!/usr/bin/env bash
# Measures Go's golang.org/x/time/rate and Holdfast's TokenBucket in turns and prints them side by
# side; bench/peers/run.sh [rounds]. Fails if something can't be run, not if a row is lost.
set -Eeuo pipefail
export LC_ALL=C  # the decimal point
trap 'echo "bench/peers/run.sh: failed: $step" >&2' ERR

say() {
  step=$1
  echo "$step"
}

rounds=${1-21}
if [[ ! $rounds =~ ^[1-9][0-9]*$ ]]; then
  echo "usage: bench/peers/run.sh [rounds]" >&2
  exit 2
fi
seconds=0.05  # for each row in each round

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
build=$root/build/peers
measured=$build/measured
ours=$build/bench/holdfast_peers
theirs=$build/go/rate.test

say "Checking packages"
"$root/cmake/install-deps.sh" peers
say "Building Holdfast's benchmark"
cmake -S "$root" -B "$build" -G Ninja --log-level=NOTICE -DCMAKE_BUILD_TYPE=Release \
  -DHOLDFAST_BENCH=ON -DHOLDFAST_TESTS=OFF -DHOLDFAST_EXAMPLES=OFF \
  -DHOLDFAST_HTTP=OFF -DHOLDFAST_ASIO=OFF
cmake --build "$build" --target holdfast_peers
say "Building Go's benchmark"
# Debian keeps its Go libraries in a GOPATH, which knows no modules.
(cd "$here" && env GO111MODULE=off GOPATH=/usr/share/gocode GOFLAGS= CGO_ENABLED=0 \
  GOCACHE="$build/go/cache" go test -c -o "$theirs" .)

# How long the processors have worked for others than us, in hundredths of a second.
others() {
  local user nice system irq softirq steal stat
  read -r _ user nice system _ _ irq softirq steal _ </proc/stat
  read -ra stat </proc/$$/stat
  # Of the fields of proc(5): our own time and that of the processes we waited for.
  echo $((user + nice + system + irq + softirq + steal - stat[13] - stat[14] - stat[15] - stat[16]))
}

begin() {
  before=$(others)
  began=${EPOCHREALTIME/./}
}

# How much others have taken of the processors since, as a percentage of one.
taken() {
  echo $((($(others) - before) * 1000000 / (${EPOCHREALTIME/./} - began)))
}

# A line: "<row> <threads> <side> <nanoseconds> <percentage taken by others meanwhile>".
measure_theirs() {
  step="running Go's benchmark"
  begin
  "$theirs" -test.bench . -test.benchtime "${seconds}s" -test.cpu 1,2 >"$measured.go" ||
    { cat "$measured.go" >&2; false; }
  awk -v taken="$(taken)" '$4 == "ns/op" {
    threads = split($1, name, "-") > 1 ? name[2] : 1
    print substr(name[1], length("Benchmark") + 1), threads, "go", $3, taken
  }' "$measured.go" >>"$measured"
}

measure_ours() {
  step="running Holdfast's benchmark"
  begin
  "$ours" --benchmark_min_time="$seconds" --benchmark_format=json >"$measured.json" \
    2>"$measured.log" || { cat "$measured.log" >&2; false; }
  awk -F '[:,] *' -v taken="$(taken)" '
    { gsub(/[ "]/, "", $1) }
    $1 == "name" { split($2, name, /["\/]/); row = name[2] }
    $1 == "threads" { threads = $2 }
    $1 == "error_message" { print row ": " $2 >"/dev/stderr"; exit 1 }
    $1 == "real_time" { print row, threads, "holdfast", $2 + 0, taken }
  ' "$measured.json" >>"$measured"
}

# The lines of the half of a side's rounds in which others took the least, and of as quiet ones.
quieter_half() {
  local most
  most=$(awk -v side="$1" '$3 == side { print $5 }' "$measured" | sort -n |
    awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] }')
  awk -v side="$1" -v most="$most" '$3 == side && $5 <= most' "$measured"
}

say "Measuring $rounds rounds"
: >"$measured"
for ((round = 0; round < rounds; ++round)); do
  measure_theirs
  measure_ours
done

step="comparing"
echo
echo "$(go version | cut -d ' ' -f 3), x/time $(dpkg-query -W -f '${Version}' golang-golang-x-time-dev)," \
  "$("${CXX-c++}" --version | head -n 1);" \
  "$(nproc) processors, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
echo "Nanoseconds of time for an operation, all threads' together: medians of the quieter half of" \
  "$rounds rounds."
echo
# Sorted by value, so that a row's median is in the middle of what comes of it.
{ quieter_half go; quieter_half holdfast; } | sort -k 4,4g | awk '
  function median(row, threads, side,    key, half) {
    key = row " " threads " " side
    if (!(key in count)) {
      print "no figure for " key >"/dev/stderr"
      exit failed = 1
    }
    half = count[key] / 2
    return half % 1 ? value[key, half + 0.5] : (value[key, half] + value[key, half + 1]) / 2
  }
  function compare(what, row,    threads, go, holdfast) {
    for (threads = 1; threads <= 2; ++threads) {
      go = median(row, threads, "go")
      holdfast = median(row, threads, "holdfast")
      printf "%-38s %7d %10.1f %10.1f %10.2f\n", what, threads, go, holdfast, go / holdfast
      ahead += go > holdfast
      ++rows
    }
  }
  $5 > most { most = $5 }
  { key = $1 " " $2 " " $3; value[key, ++count[key]] = $4 }
  END {
    printf "%-38s %7s %10s %10s %10s\n", "", "threads", "Go", "Holdfast", "Go / Hf"
    compare("Allow, granted", "AllowGranted")
    compare("Allow, refused", "AllowRefused")
    compare("AllowN(t, 1), granted", "AllowAtGranted")
    compare("AllowN(t, 1), refused", "AllowAtRefused")
    compare("ReserveN(t, 1), granted at once", "ReserveAtGranted")
    compare("Reserve, must wait, and Cancel", "ReserveAndCancel")
    compare("Tokens", "Tokens")
    if (failed) exit 1
    printf "\nOther programs took up to %d %% of a processor meanwhile.\n", most
    if (most > 10) print "So two threads took turns at times, and met less than on an idle machine."
    printf "Holdfast is ahead on %d of %d rows.\n", ahead, rows
  }'
