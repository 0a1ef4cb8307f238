#!/usr/bin/env bash
# Uses Holdfast as other projects do: as a subdirectory, and from install trees with and without
# HTTP and Asio, and over Boost's Asio.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
work=$PWD/build/consumers
consumers=$PWD/test/consumers

fail() {
  echo "consumers: $*" >&2
  exit 1
}

build() {  # <source> <build> [cmake arguments]
  cmake -S "$1" -B "$work/$2" -G Ninja "${@:3}"
  cmake --build "$work/$2"
}

install_holdfast() {  # <prefix> [cmake arguments]
  build . "holdfast-$1" -DHOLDFAST_TESTS=OFF -DHOLDFAST_EXAMPLES=OFF "${@:2}"
  cmake --install "$work/holdfast-$1" --prefix "$work/$1"
}

links_no_http() {  # <program>
  ! ldd "$1" | grep -E 'httplib|libssl|libcrypto' || fail "$1 links HTTP"
}

no_http=(-DCMAKE_DISABLE_FIND_PACKAGE_httplib=ON -DCMAKE_DISABLE_FIND_PACKAGE_OpenSSL=ON)
no_asio=(-DCMAKE_DISABLE_FIND_PACKAGE_asio=ON -DCMAKE_DISABLE_FIND_PACKAGE_Boost=ON)

# What an earlier run installed must not stand in for what this one forgets.
rm -rf "$work"

echo "--- subdirectory"
build "$consumers/subdirectory" subdirectory
"$work/subdirectory/consumer"
links_no_http "$work/subdirectory/consumer"

echo "--- find_package, everything installed"
install_holdfast full
# Core must not even look for what only asio and http need, nor asio for what http needs.
build "$consumers/find_package" core -DCMAKE_PREFIX_PATH="$work/full" \
  "${no_http[@]}" "${no_asio[@]}"
"$work/core/consumer"
links_no_http "$work/core/consumer"
build "$consumers/components" components -DCMAKE_PREFIX_PATH="$work/full"
"$work/components/consumer"
build "$consumers/asio" asio -DCMAKE_PREFIX_PATH="$work/full" "${no_http[@]}"
"$work/asio/consumer"
links_no_http "$work/asio/consumer"

echo "--- find_package, Boost's Asio"
install_holdfast boost -DHOLDFAST_HTTP=OFF -DHOLDFAST_ASIO=BOOST
build "$consumers/asio" boost-asio -DCMAKE_PREFIX_PATH="$work/boost" \
  -DCMAKE_DISABLE_FIND_PACKAGE_asio=ON
"$work/boost-asio/consumer"

echo "--- find_package, shared and without HTTP and Asio"
install_holdfast small -DHOLDFAST_HTTP=OFF -DHOLDFAST_ASIO=OFF -DBUILD_SHARED_LIBS=ON
absent=$(find "$work/small" -iname '*http*' -o -iname '*asio*')
[[ -z $absent ]] || fail "installed without HTTP and Asio: $absent"
build "$consumers/find_package" shared -DCMAKE_PREFIX_PATH="$work/small"
"$work/shared/consumer"
links_no_http "$work/shared/consumer"
! refused=$(cmake -S "$consumers/components" -B "$work/refused" -G Ninja \
  -DCMAKE_PREFIX_PATH="$work/small" 2>&1) || fail "found a component that is not installed"
grep -q "no component 'http'" <<<"$refused" || fail "does not say what is missing: $refused"

echo "6 consumers"
