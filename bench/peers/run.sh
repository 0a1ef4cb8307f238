#!/usr/bin/env bash
# Measures Go's golang.org/x/time/rate and Holdfast's TokenBucket in turns and prints them side by
# side; bench/peers/run.sh [rounds]. Fails if something can't be run, not if a row is lost.
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

seconds=0.05  # for each row in each round
holdfast=$build/bench/holdfast_peers
go=$build/go/rate.test

build holdfast_peers
say "Building Go's benchmark"
# Debian keeps its Go libraries in a GOPATH, which knows no modules.
(cd "$here" && env GO111MODULE=off GOPATH=/usr/share/gocode GOFLAGS= CGO_ENABLED=0 \
  GOCACHE="$build/go/cache" go test -c -o "$go" .)

measure_go() {
  step="running Go's benchmark"
  begin
  "$go" -test.bench . -test.benchtime "${seconds}s" -test.cpu 1,2 >"$measured.go" ||
    { cat "$measured.go" >&2; false; }
  awk -v taken="$(taken)" '$4 == "ns/op" {
    threads = split($1, name, "-") > 1 ? name[2] : 1
    print substr(name[1], length("Benchmark") + 1), threads, "go", $3, taken
  }' "$measured.go" >>"$measured"
}

measure_holdfast() {
  step="running Holdfast's benchmark"
  begin
  "$holdfast" --benchmark_min_time="$seconds" --benchmark_format=json >"$measured.json" \
    2>"$measured.log" || { cat "$measured.log" >&2; false; }
  awk -F '[:,] *' -v taken="$(taken)" '
    { gsub(/[ "]/, "", $1) }
    $1 == "name" { split($2, name, /["\/]/); row = name[2] }
    $1 == "threads" { threads = $2 }
    $1 == "error_message" { print row ": " $2 >"/dev/stderr"; exit 1 }
    $1 == "real_time" { print row, threads, "holdfast", $2 + 0, taken }
  ' "$measured.json" >>"$measured"
}

say "Measuring $rounds rounds"
: >"$measured"
for ((round = 0; round < rounds; ++round)); do
  measure_go
  measure_holdfast
done

step="comparing"
echo
echo "$(go version | cut -d ' ' -f 3), x/time $(dpkg-query -W -f '${Version}' golang-golang-x-time-dev)," \
  "$(machine)"
echo "Nanoseconds of time for an operation, all threads' together: medians of the quieter half of" \
  "$rounds rounds."
echo
quieter_halves | awk "$medians"'
  function compare(what, row,    threads, go, holdfast) {
    for (threads = 1; threads <= 2; ++threads) {
      go = median(row, threads, "go")
      holdfast = median(row, threads, "holdfast")
      printf "%-38s %7d %10.1f %10.1f %10.2f\n", what, threads, go, holdfast, go / holdfast
      ahead += go > holdfast
      ++rows
    }
  }
  { take() }
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
