// Where a Transport's requests go.
#ifndef HOLDFAST_SRC_HTTP_ORIGIN_H_
#define HOLDFAST_SRC_HTTP_ORIGIN_H_

#include <absl/status/statusor.h>

#include <optional>
#include <string>
#include <string_view>

#include "holdfast/http/transport_options.h"
#include "src/http/net/address.h"

namespace holdfast::http::internal {

struct Origin {
  bool tls = false;
  std::string host = {};  // an IPv6 address without its brackets
  int port = 0;
  std::string host_header = {};  // of the requests: without the scheme's own port
  std::string url = {};          // to show
};

// Whether it can be a name, or an IPv4 address.
bool IsHost(std::string_view text);

// kInvalidArgument says what is wrong with which URL, without a password in it.
absl::StatusOr<Origin> ParseOrigin(std::string_view url);

struct Proxy {
  Origin at = {};                  // without TLS
  std::string authorization = {};  // the value of Proxy-Authorization, not to be shown; empty: none
};

// kInvalidArgument says what is wrong, and shows nothing of the URL.
absl::StatusOr<Proxy> ParseProxy(std::string_view url);

// How requests get there.
struct Route {
  Origin origin;
  std::optional<Proxy> proxy = std::nullopt;
  std::string unix_path = {};  // of the socket to connect to, instead of peer(); empty: none
  bool exempt = false;         // without the proxy that there is for others
  std::optional<Address> local_address = std::nullopt;  // to connect from

  // Whom to connect to.
  const Origin& peer() const { return proxy ? proxy->at : origin; }
  // Without TLS a proxy gets the requests themselves, with it a tunnel that they go through.
  bool tunnels() const { return proxy && origin.tls; }
  // What a proxy is told of who asks; empty: nothing, or there is no proxy.
  std::string_view authorization() const {
    return proxy ? std::string_view(proxy->authorization) : std::string_view();
  }
  std::string Describe() const;
};

// The options are valid. Reads the environment where they say so.
absl::StatusOr<Route> ParseRoute(std::string_view origin, const TransportOptions& options);

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_ORIGIN_H_
