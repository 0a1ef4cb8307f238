#!/usr/bin/env bash
# Uses Holdfast as other projects do: as a subdirectory, of a parent with settings of its own too, and
# from install trees with and without HTTP, cpp-httplib and Asio, over Boost's Asio, and by pkg-config.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
work=$PWD/build/consumers
consumers=$PWD/test/consumers

fail() {
  echo "consumers: $*" >&2
  exit 1
}

# Of the libraries a dozen sources at once: that each compiles by itself, other builds show.
build() {  # <source> <build> [cmake arguments]
  cmake -S "$1" -B "$work/$2" -G Ninja -DCMAKE_UNITY_BUILD=ON -DCMAKE_UNITY_BUILD_BATCH_SIZE=12 "${@:3}"
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

echo "--- subdirectory of a parent with shared libraries, hidden symbols and unity builds, without Asio"
build "$consumers/parent" parent -DCMAKE_DISABLE_FIND_PACKAGE_asio=ON
"$work/parent/consumer"

echo "--- find_package, everything installed"
install_holdfast full
# Core must not even look for what only asio and http need, nor asio for what http needs.
build "$consumers/find_package" core -DCMAKE_PREFIX_PATH="$work/full" \
  "${no_http[@]}" "${no_asio[@]}"
"$work/core/consumer"
links_no_http "$work/core/consumer"
# Only the build of metrics needs a JSON library.
build "$consumers/components" components -DCMAKE_PREFIX_PATH="$work/full" \
  -DCMAKE_DISABLE_FIND_PACKAGE_nlohmann_json=ON
"$work/components/consumer"
build "$consumers/asio" asio -DCMAKE_PREFIX_PATH="$work/full" "${no_http[@]}"
"$work/asio/consumer"
links_no_http "$work/asio/consumer"

echo "--- pkg-config, the tree moved"
mv "$work/full" "$work/moved"
export PKG_CONFIG_PATH
PKG_CONFIG_PATH=$(dirname "$(find "$work/moved" -name holdfast-core.pc)")
mkdir "$work/pkg-config"
by_pkg_config() {  # <source> <modules...>
  # shellcheck disable=SC2046  # pkg-config's words
  ${CXX:-c++} -std=c++20 "$consumers/pkg_config/$1.cc" -o "$work/pkg-config/$1" \
    $(pkg-config --cflags --libs "${@:2}")
}
by_pkg_config main holdfast-http holdfast-testing
"$work/pkg-config/main" "$(pkg-config --modversion holdfast-core)"
by_pkg_config asio holdfast-asio
"$work/pkg-config/asio"
links_no_http "$work/pkg-config/asio"

echo "--- one component installed by itself"
cmake --install "$work/holdfast-full" --prefix "$work/core-only" --component holdfast-core
absent=$(find "$work/core-only" -iname '*http*' -o -iname '*asio*' -o -iname '*testing*' \
  -o -path '*/holdfast/metrics*' -o -name '*holdfast[-_]metrics*')
[[ -z $absent ]] || fail "installed with core alone: $absent"
build "$consumers/find_package" lone-core -DCMAKE_PREFIX_PATH="$work/core-only"
"$work/lone-core/consumer"

echo "--- find_package, Boost's Asio"
install_holdfast boost -DHOLDFAST_HTTP=OFF -DHOLDFAST_ASIO=BOOST
build "$consumers/asio" boost-asio -DCMAKE_PREFIX_PATH="$work/boost" \
  -DCMAKE_DISABLE_FIND_PACKAGE_asio=ON
"$work/boost-asio/consumer"

echo "--- find_package, HTTP without cpp-httplib"
install_holdfast own-http -DHOLDFAST_HTTPLIB=OFF -DHOLDFAST_ASIO=OFF
absent=$(find "$work/own-http" -iname '*httplib*')
[[ -z $absent ]] || fail "installed without cpp-httplib: $absent"
! grep -r httplib "$work/own-http" --include='*.pc' --include='holdfast-http*.cmake' || fail "needs cpp-httplib"
build "$consumers/http" own-http-consumer -DCMAKE_PREFIX_PATH="$work/own-http" \
  -DCMAKE_DISABLE_FIND_PACKAGE_httplib=ON
"$work/own-http-consumer/consumer"
! ldd "$work/own-http-consumer/consumer" | grep httplib || fail "links cpp-httplib"

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

echo "11 consumers"
