#!/usr/bin/env bash
# Measures Holdfast's HTTP clients, cpp-httplib's, libcurl and a bare socket in turns and prints them
# side by side; bench/peers/http.sh [rounds]. Fails if something can't be run, not if a row is lost.
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

client=$build/bench/holdfast_http_peers
server=$build/bench/holdfast_http_server
certificate=$build/certificate.pem

build holdfast_http_peers holdfast_http_server
say "Making a certificate"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=127.0.0.1" \
  -addext "subjectAltName=IP:127.0.0.1" -keyout "$certificate.key" -out "$certificate.crt" \
  2>"$certificate.log" || { cat "$certificate.log" >&2; false; }
cat "$certificate.crt" "$certificate.key" >"$certificate"
rm "$certificate.crt" "$certificate.key"

# The numbers of the processors that we may use.
processors() {
  local range ranges
  IFS=, read -ra ranges <<<"$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status)"
  for range in "${ranges[@]}"; do seq "${range%-*}" "${range#*-}"; done
}

say "Starting the server"
mapfile -t cores < <(processors)
ulimit -n "$(ulimit -Hn)"
# It ends with its standard input, which is ours to close.
coproc SERVER { exec taskset -c "${cores[-1]}" "$server" "$certificate"; }
ours+=("$SERVER_PID")
read -ru "${SERVER[0]}" plain_port
read -ru "${SERVER[0]}" tls_port

# measure <row> <requests> <side>...: without TLS and with it.
measure() {
  local row=$1 requests=$2 side tls
  shift 2
  for tls in "" -tls; do
    local origin=("$plain_port")
    [[ -z $tls ]] || origin=("$tls_port" "$certificate")
    for side; do
      step="running $side's $row$tls"
      begin
      taskset -c "${cores[0]}" "$client" "$row" "$side" "$requests" "${origin[@]}" >"$measured.one"
      awk -v row="$row$tls" -v side="$side" -v taken="$(taken)" \
        '{ print row, $1, side, $2, taken }' "$measured.one" >>"$measured"
    done
  done
}

say "Measuring $rounds rounds"
: >"$measured"
for ((round = 0; round < rounds; ++round)); do
  measure request 5000 socket httplib libcurl Transport StandardClient
  measure threads 10000 httplib Transport
  measure waves 10000 AsyncTransport
  measure idle 500 httplib libcurl Transport
done

step="comparing"
version() {
  dpkg-query -W -f '${Version}' "$1"
}
echo
echo "cpp-httplib $(version libcpp-httplib-dev), libcurl $(version libcurl4-openssl-dev)," \
  "OpenSSL $(version libssl-dev), $(machine)"
echo "Medians of the quieter half of $rounds rounds; the client on processor ${cores[0]}, the server" \
  "on processor ${cores[-1]}. \"ratio\" is Transport's figure over httplib's."
echo
quieter_halves | awk "$medians"'
  function show(what, row, of, decimals, more,    i, ratio) {
    printf "%-42s", what
    for (i = 1; i <= sides; ++i) {
      if ((row " " of " " side[i]) in count) {
        printf " %*.*f", width[i], decimals, median(row, of, side[i])
      } else {
        printf " %*s", width[i], ""
      }
    }
    if ((row " " of " Transport") in count) {
      ratio = median(row, of, "Transport") / median(row, of, "httplib")
      printf " %6.2f", ratio
      ahead += more ? ratio > 1 : ratio < 1
      ++rows
    }
    print ""
  }
  function show_all(tls, with) {
    show("a request" with ", us of CPU", "request" tls, "cpu", 1)
    show("a request" with ", us, median", "request" tls, "p50", 1)
    show("a request" with ", us, 99th percentile", "request" tls, "p99", 1)
    show("64 threads" with ", requests/s", "threads" tls, "rate", 0, 1)
    show("64 threads" with ", us of CPU a request", "threads" tls, "cpu", 1)
    show("1,000 at once" with ", requests/s", "waves" tls, "rate", 0, 1)
    show("1,000 at once" with ", us of CPU a request", "waves" tls, "cpu", 1)
    show("an idle connection" with ", bytes of heap", "idle" tls, "heap", 0)
    show("an idle connection" with ", bytes resident", "idle" tls, "resident", 0)
  }
  { take() }
  END {
    sides = split("socket httplib libcurl Transport StandardClient AsyncTransport", side)
    printf "%-42s", ""
    for (i = 1; i <= sides; ++i) {
      width[i] = length(side[i]) < 9 ? 9 : length(side[i])
      printf " %*s", width[i], side[i]
    }
    print "  ratio"
    show_all("", "")
    show_all("-tls", ", TLS")
    if (failed) exit 1
    printf "\nOther programs took up to %d %% of a processor meanwhile.\n", most
    if (most > 10) print "So times are longer than on an idle machine, and requests/s are fewer."
    printf "Transport is ahead on %d of %d rows.\n", ahead, rows
  }'
if ((${#cores[@]} == 1)); then
  echo "Client and server took turns on one processor, which their times and requests/s include."
fi
