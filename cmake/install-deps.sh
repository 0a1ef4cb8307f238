#!/usr/bin/env bash
# Installs the Debian packages that a job needs: install-deps.sh build|examples|test|ci|peers
# Each job includes the ones before it, but peers only build. Does nothing, quickly, when all of them
# are there. A Node.js that is there from elsewhere stays as it is.
set -euo pipefail

fail() {
  echo "install-deps: $*" >&2
  exit 1
}

build=(g++ cmake ninja-build pkg-config ca-certificates
  libabsl-dev libasio-dev libbrotli-dev libcpp-httplib-dev libssl-dev libzstd-dev nlohmann-json3-dev
  zlib1g-dev)
examples=("${build[@]}" libcli11-dev gnuplot-nox)
test=("${examples[@]}" catch2 librapidcheck-dev libbenchmark-dev ccache lld openssl
  mitmproxy libhttp-parser-dev libboost1.81-dev)
# The servers are for a machine of its own: Debian's packages of some start a service. CURL is for
# the benchmark of clients.
ci=("${test[@]}" clang-19 clang-tidy-19 clang-format-19 libclang-rt-19-dev git
  nginx haproxy apache2-bin nodejs npm prometheus python3 libcurl4-openssl-dev
  prometheus-cpp-dev libspdlog-dev libgoogle-glog-dev)
peers=("${build[@]}" libbenchmark-dev golang-go golang-golang-x-time-dev libcurl4-openssl-dev openssl)

case ${1-} in
  build | examples | test | ci | peers) declare -n wanted=$1 ;;
  *) fail "usage: install-deps.sh build|examples|test|ci|peers" ;;
esac

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  fail "not a Debian system; install what these packages hold: ${wanted[*]}"
fi

# dpkg-query fails when it does not know a package, which here is an answer like any other.
present=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${wanted[@]}" 2>/dev/null || true)
declare -A program=([nodejs]=node [npm]=npm)
missing=()
for package in "${wanted[@]}"; do
  [[ -z ${program[$package]-} ]] || ! command -v "${program[$package]}" >/dev/null || continue
  grep -qxF "installed $package" <<<"$present" || missing+=("$package")
done
((${#missing[@]})) || exit 0

as_root=()
if ((EUID != 0)); then
  command -v sudo >/dev/null || fail "not root and no sudo; as root: apt-get update && apt-get install --no-install-recommends ${missing[*]}"
  as_root=(sudo)
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq -y -o DPkg::Lock::Timeout=120 "$@" >"$log" 2>&1 </dev/null && return
  tail -n 20 "$log" >&2
  fail "apt-get $1 failed (above)"
}

echo "Installing ${missing[*]}"
apt update
apt install --no-install-recommends "${missing[@]}"
