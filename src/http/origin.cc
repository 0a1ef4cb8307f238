#include "src/http/origin.h"

#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>
#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <algorithm>

#include "holdfast/base/internal/string_view.h"
#include "holdfast/http/transport_error.h"

namespace holdfast::http::internal {
namespace {

using holdfast::internal::ToAbsl;

absl::Status Wrong(std::string_view url, absl::string_view what) {
  std::string shown(url);
  if (const auto at = url.rfind('@'); at != std::string_view::npos) {
    const auto scheme = url.find("://");
    const auto begin = scheme < at ? scheme + 3 : 0;
    shown.replace(begin, at - begin, "...");  // a message is no place for a password
  }
  return WithTransportError(
      absl::InvalidArgumentError(absl::StrCat("bad URL \"", absl::CHexEscape(shown), "\": ", what)),
      TransportError::kRequest);
}

bool IsHost(std::string_view host) {
  return !host.empty() && std::all_of(host.begin(), host.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '.' || c == '-' || c == '_';
  });
}

bool IsIpv6(std::string_view host) {
  return host.find(':') != std::string_view::npos &&
         std::all_of(host.begin(), host.end(), [](unsigned char c) {
           return absl::ascii_isalnum(c) || c == ':' || c == '.' || c == '%' || c == '-' ||
                  c == '_';
         });
}

// Removes the host from the front of `rest` and returns it; empty if there is none or it is
// malformed.
std::string_view TakeHost(std::string_view& rest) {
  std::string_view host;
  if (!rest.empty() && rest.front() == '[') {
    const auto end = rest.find(']');
    if (end == std::string_view::npos) return {};
    host = rest.substr(1, end - 1);
    rest.remove_prefix(end + 1);
    return IsIpv6(host) ? host : std::string_view();
  }
  host = rest.substr(0, rest.find(':'));
  rest.remove_prefix(host.size());
  return IsHost(host) ? host : std::string_view();
}

}  // namespace

absl::StatusOr<Origin> ParseOrigin(std::string_view url) {
  const auto scheme_end = url.find("://");
  if (scheme_end == std::string_view::npos) {
    return Wrong(url, "an origin is scheme://host[:port]");
  }
  const absl::string_view scheme = ToAbsl(url.substr(0, scheme_end));
  Origin origin;
  origin.tls = absl::EqualsIgnoreCase(scheme, "https");
  if (!origin.tls && !absl::EqualsIgnoreCase(scheme, "http")) {
    return Wrong(url, "the scheme must be http or https");
  }
  std::string_view rest = url.substr(scheme_end + 3);
  if (rest.find('@') != std::string_view::npos) {
    return Wrong(url, "it must not contain a user or a password");
  }
  if (!rest.empty() && rest.back() == '/') rest.remove_suffix(1);
  if (rest.find_first_of("/?#") != std::string_view::npos) {
    return Wrong(url, "an origin has no path; put the path into the request");
  }
  origin.host = TakeHost(rest);
  if (origin.host.empty()) return Wrong(url, "the host is missing or malformed");
  const int standard_port = origin.tls ? 443 : 80;
  origin.port = standard_port;
  if (!rest.empty()) {
    const std::string_view port = rest.substr(1);
    const bool digits = port.find_first_not_of("0123456789") == std::string_view::npos;
    if (rest.front() != ':' || !digits || !absl::SimpleAtoi(ToAbsl(port), &origin.port) ||
        origin.port < 1 || origin.port > 65535) {
      return Wrong(url, "the port must be a number from 1 to 65535");
    }
  }
  const bool ipv6 = origin.host.find(':') != std::string::npos;
  // An IPv6 zone is local to this machine and must not be sent (RFC 6874).
  origin.host_header =
      ipv6 ? absl::StrCat("[", origin.host.substr(0, origin.host.find('%')), "]") : origin.host;
  if (origin.port != standard_port) absl::StrAppend(&origin.host_header, ":", origin.port);
  origin.url = absl::StrCat(origin.tls ? "https://" : "http://", origin.host_header);
  return origin;
}

std::string Route::Describe() const {
  return proxy ? absl::StrCat(origin.url, " (by the proxy ", proxy->url, ")") : origin.url;
}

absl::StatusOr<Origin> ParseProxy(std::string_view url) {
  auto proxy = ParseOrigin(url);
  if (proxy.ok() && proxy->tls)
    return Wrong(url, "TLS to a proxy is not supported; the URL must begin with http://");
  return proxy;
}

absl::StatusOr<Route> ParseRoute(std::string_view origin, std::string_view proxy) {
  auto to = ParseOrigin(origin);
  if (!to.ok()) return to.status();
  Route route{.origin = *std::move(to)};
  if (proxy.empty()) return route;
  auto by = ParseProxy(proxy);
  if (!by.ok()) return by.status();
  route.proxy = *std::move(by);
  return route;
}

}  // namespace holdfast::http::internal
