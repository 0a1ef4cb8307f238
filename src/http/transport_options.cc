#include "holdfast/http/transport_options.h"

#include <cstdint>
#include <limits>
#include <utility>

#include "holdfast/base/internal/options_checker.h"
#include "src/http/net/address.h"
#include "src/http/no_proxy.h"
#include "src/http/origin.h"
#include "src/http/wire/grammar.h"

namespace holdfast::http {
namespace {

using holdfast::internal::OptionsChecker;

void CheckNumbers(const TransportOptions& options, OptionsChecker& check) {
  constexpr Duration kZero = Duration::zero();
  check(options.max_connections >= 1, "max_connections must be >= 1");
  check(options.max_idle >= 0, "max_idle must be >= 0");
  check(options.idle_timeout > kZero, "idle_timeout must be > 0");
  check(options.connect_timeout > kZero, "connect_timeout must be > 0");
  check(options.read_timeout > kZero, "read_timeout must be > 0");
  check(options.write_timeout > kZero, "write_timeout must be > 0");
  check(options.total_timeout > kZero, "total_timeout must be > 0");
  check(options.max_age > kZero, "max_age must be > 0");
  check(options.max_uses >= 1, "max_uses must be >= 1");
  check(options.continue_timeout >= kZero, "continue_timeout must be >= 0");
  check(options.max_head >= 256 && options.max_head <= std::size_t{1} << 24,
        "max_head must be from 256 to 2^24");
  check(options.max_fields >= 1 && options.max_fields <= 100'000,
        "max_fields must be from 1 to 100000");
  check(std::cmp_less_equal(options.max_body, std::numeric_limits<std::int64_t>::max()),
        "max_body must be from 0 to 2^63 - 1");
}

// Where connections go, and where from.
void CheckWay(const TransportOptions& options, OptionsChecker& check) {
  if (!options.proxy.empty()) {
    const auto proxy = internal::ParseProxy(options.proxy);
    check(proxy.ok(), "proxy: ", proxy.status().message());
  }
  const absl::Status no_proxy = internal::CheckNoProxy(options.no_proxy);
  check(no_proxy.ok(), "no_proxy: ", no_proxy.message());
  if (!options.unix_socket.empty()) {
    const absl::Status path = internal::Address::Unix(options.unix_socket).status();
    check(path.ok(), "unix_socket: ", path.message());
    check(options.proxy.empty() && !options.proxy_from_environment,
          "unix_socket excludes proxy and proxy_from_environment");
    check(options.local_address.empty(), "unix_socket excludes local_address");
  }
  check(options.local_address.empty() || internal::Address::Parse(options.local_address, 0),
        "local_address must be an IP address without brackets and port");
  if (options.tcp_keep_alive) {
    const absl::Status keep_alive = Validate(*options.tcp_keep_alive);
    check(keep_alive.ok(), "tcp_keep_alive: ", keep_alive.message());
  }
}

}  // namespace

absl::Status Validate(const TransportOptions& options) {
  OptionsChecker check("Transport");
  CheckNumbers(options, check);
  CheckWay(options, check);
  check(options.client_cert_file.empty() == options.client_key_file.empty(),
        "client_cert_file and client_key_file go together");
  check(options.attempt_header.empty() || wire::IsToken(options.attempt_header),
        "attempt_header must be the name of a header, or empty");
  return check.status();
}

}  // namespace holdfast::http
