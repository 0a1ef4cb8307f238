// Where a Transport's requests go.
#ifndef HOLDFAST_SRC_HTTP_ORIGIN_H_
#define HOLDFAST_SRC_HTTP_ORIGIN_H_

#include <absl/status/statusor.h>

#include <optional>
#include <string>
#include <string_view>

namespace holdfast::http::internal {

struct Origin {
  bool tls = false;
  std::string host = {};  // an IPv6 address without its brackets
  int port = 0;
  std::string host_header = {};  // of the requests: without the scheme's own port
  std::string url = {};          // to show
};

// kInvalidArgument says what is wrong with which URL, without a password in it.
absl::StatusOr<Origin> ParseOrigin(std::string_view url);

absl::StatusOr<Origin> ParseProxy(std::string_view url);

// How requests get there.
struct Route {
  Origin origin;
  std::optional<Origin> proxy = std::nullopt;

  // Whom to connect to.
  const Origin& peer() const { return proxy ? *proxy : origin; }
  // Without TLS a proxy gets the requests themselves, with it a tunnel that they go through.
  bool tunnels() const { return proxy && origin.tls; }
  std::string Describe() const;
};

// An empty `proxy` is none.
absl::StatusOr<Route> ParseRoute(std::string_view origin, std::string_view proxy);

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_ORIGIN_H_
