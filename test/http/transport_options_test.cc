#include "holdfast/http/transport_options.h"

#include <chrono>
#include <stdexcept>
#include <string>

#include "holdfast/http/transport.h"
#include "test/support/catch.h"

namespace holdfast::http::transport_options_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using test::ContainsSubstring;

std::string What(const TransportOptions& options) {
  return std::string(Validate(options).message());
}

TEST_CASE("where connections go to and come from is validated") {
  for (const TransportOptions& good : {
           TransportOptions(),
           TransportOptions{.proxy = "http://u:p@proxy:3128", .no_proxy = "*"},
           TransportOptions{.no_proxy = "example.com", .proxy_from_environment = true},
           TransportOptions{.unix_socket = "/run/server"},
           TransportOptions{.unix_socket = "@server"},
           TransportOptions{.unix_socket = std::string(107, 'x')},
           TransportOptions{.local_address = "127.0.0.2"},
           TransportOptions{.local_address = "::1"},
           TransportOptions{.tcp_keep_alive = TcpKeepAlive()},
           TransportOptions{.tcp_keep_alive =
                                TcpKeepAlive{.idle = 1s, .interval = 32767s, .count = 127}},
       }) {
    CHECK(What(good).empty());
  }
  const auto refused = [](const TransportOptions& options, const std::string& what) {
    CHECK_THAT(What(options), ContainsSubstring(what));
    CHECK_THROWS_AS(Transport("http://host", options), std::invalid_argument);
  };
  refused({.proxy = "proxy:3128"}, "proxy: bad URL of a proxy: it must be http://");
  refused({.proxy = "http://proxy", .unix_socket = "/s"}, "unix_socket excludes proxy");
  refused({.proxy_from_environment = true, .unix_socket = "/s"},
          "unix_socket excludes proxy and proxy_from_environment");
  refused({.unix_socket = "/s", .local_address = "::1"}, "unix_socket excludes local_address");
  refused({.unix_socket = std::string(108, 'x')}, "is longer than 107 bytes");
  refused({.unix_socket = "@"}, "it is empty");
  refused({.unix_socket = std::string("a\0b", 3)}, "it has a NUL");
  for (const char* const wrong :
       {"localhost", "127.0.0.1:80", "[::1]", "127.0.0.1/8", "fe80::1%nowhere", "127.1"}) {
    refused({.local_address = wrong}, "local_address must be an IP address");
  }
  refused({.tcp_keep_alive = TcpKeepAlive{.idle = 999ms}}, "idle must be from 1 s to 32767 s");
  refused({.tcp_keep_alive = TcpKeepAlive{.idle = 32768s}}, "idle must be from");
  refused({.tcp_keep_alive = TcpKeepAlive{.interval = 0s}}, "interval must be from");
  refused({.tcp_keep_alive = TcpKeepAlive{.interval = Duration::max()}}, "interval must be");
  refused({.tcp_keep_alive = TcpKeepAlive{.count = 0}}, "count must be from 1 to 127, not 0");
  refused({.tcp_keep_alive = TcpKeepAlive{.count = 128}}, "tcp_keep_alive: TcpKeepAlive: count");
}

}  // namespace
}  // namespace holdfast::http::transport_options_test
