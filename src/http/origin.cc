#include "src/http/origin.h"

#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>
#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "holdfast/base/internal/string_view.h"
#include "holdfast/http/transport_error.h"
#include "src/http/basic_credentials.h"
#include "src/http/net/tls_error.h"
#include "src/http/no_proxy.h"
#include "src/http/proxy_environment.h"

namespace holdfast::http::internal {
namespace {

using holdfast::internal::ToAbsl;

// A message is no place for a password.
std::string Shown(std::string_view url) {
  std::string shown(url);
  if (const auto at = url.rfind('@'); at != std::string_view::npos) {
    const auto scheme = url.find("://");
    const auto begin = scheme < at ? scheme + 3 : 0;
    shown.replace(begin, at - begin, "...");
  }
  return absl::CHexEscape(shown);
}

absl::Status BadUrl(absl::string_view of_what, absl::string_view what) {
  return WithTransportError(
      absl::InvalidArgumentError(absl::StrCat("bad URL ", of_what, ": ", what)),
      TransportError::kRequest);
}

absl::Status NoInterface(const Origin& origin) {
  return WithTransportError(
      absl::InvalidArgumentError(absl::StrCat(
          origin.url, ": local_address: this machine has no interface of its zone any more")),
      TransportError::kRequest);
}

struct UrlParts {
  std::string_view scheme;
  std::string_view rest;  // without a last '/'
};

// Nullopt: there is no scheme.
std::optional<UrlParts> SplitUrl(std::string_view url) {
  const auto end = url.find("://");
  if (end == std::string_view::npos) return std::nullopt;
  UrlParts parts = {.scheme = url.substr(0, end), .rest = url.substr(end + 3)};
  if (parts.rest.ends_with('/')) parts.rest.remove_suffix(1);
  return parts;
}

bool IsScheme(const UrlParts& parts, absl::string_view scheme) {
  return absl::EqualsIgnoreCase(ToAbsl(parts.scheme), scheme);
}

bool HasPath(std::string_view rest) { return rest.find_first_of("/?#") != std::string_view::npos; }

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

// Reads host[:port] into `origin`, of which `tls` is known. Returns what is wrong; empty: nothing.
absl::string_view ReadHostAndPort(std::string_view rest, Origin& origin) {
  origin.host = TakeHost(rest);
  if (origin.host.empty()) return "the host is missing or malformed";
  const int standard_port = origin.tls ? 443 : 80;
  origin.port = standard_port;
  if (!rest.empty()) {
    const std::string_view port = rest.substr(1);
    const bool digits = port.find_first_not_of("0123456789") == std::string_view::npos;
    if (rest.front() != ':' || !digits || !absl::SimpleAtoi(ToAbsl(port), &origin.port) ||
        origin.port < 1 || origin.port > 65535) {
      return "the port must be a number from 1 to 65535";
    }
  }
  const bool ipv6 = origin.host.find(':') != std::string::npos;
  // An IPv6 zone is local to this machine and must not be sent (RFC 6874).
  origin.host_header =
      ipv6 ? absl::StrCat("[", origin.host.substr(0, origin.host.find('%')), "]") : origin.host;
  if (origin.port != standard_port) absl::StrAppend(&origin.host_header, ":", origin.port);
  origin.url = absl::StrCat(origin.tls ? "https://" : "http://", origin.host_header);
  return "";
}

}  // namespace

bool IsHost(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '.' || c == '-' || c == '_';
  });
}

absl::StatusOr<Origin> ParseOrigin(std::string_view url) {
  const auto wrong = [url](absl::string_view what) {
    return BadUrl(absl::StrCat("\"", Shown(url), "\""), what);
  };
  const auto parts = SplitUrl(url);
  if (!parts) return wrong("an origin is scheme://host[:port]");
  Origin origin;
  origin.tls = IsScheme(*parts, "https");
  if (!origin.tls && !IsScheme(*parts, "http")) return wrong("the scheme must be http or https");
  if (parts->rest.find('@') != std::string_view::npos) {
    return wrong("it must not contain a user or a password");
  }
  if (HasPath(parts->rest)) return wrong("an origin has no path; put the path into the request");
  const absl::string_view what = ReadHostAndPort(parts->rest, origin);
  if (!what.empty()) return wrong(what);
  return origin;
}

// Where a URL is malformed, nobody knows which part of it is a password.
absl::StatusOr<Proxy> ParseProxy(std::string_view url) {
  const auto wrong = [](absl::string_view what) { return BadUrl("of a proxy", what); };
  const auto parts = SplitUrl(url);
  if (!parts) return wrong("it must be http://[user[:password]@]host[:port]");
  if (IsScheme(*parts, "https")) {
    return wrong("TLS to a proxy is not supported; the URL must begin with http://");
  }
  if (!IsScheme(*parts, "http")) return wrong("the scheme must be http");
  if (HasPath(parts->rest)) {
    return wrong("it has no path; in a user or a password / ? # are written %2F %3F %23");
  }
  Proxy proxy;
  std::string_view rest = parts->rest;
  if (const auto at = rest.rfind('@'); at != std::string_view::npos) {
    auto authorization = BasicCredentials(rest.substr(0, at));
    if (!authorization.ok()) return wrong(authorization.status().message());
    proxy.authorization = *std::move(authorization);
    rest.remove_prefix(at + 1);
  }
  const absl::string_view what = ReadHostAndPort(rest, proxy.at);
  if (!what.empty()) return wrong(what);
  return proxy;
}

std::string Route::Describe() const {
  if (proxy) return absl::StrCat(origin.url, " (by the proxy ", proxy->at.url, ")");
  if (unix_path.empty()) return origin.url;
  return absl::StrCat(origin.url, " (by the unix socket ", absl::CHexEscape(unix_path), ")");
}

absl::StatusOr<Route> ParseRoute(std::string_view origin, const TransportOptions& options) {
  auto to = ParseOrigin(origin);
  if (!to.ok()) return to.status();
  Route route{.origin = *std::move(to), .unix_path = options.unix_socket};
  if (!options.local_address.empty()) {
    route.local_address = Address::Parse(options.local_address, 0);
    // It was one when the options were found valid.
    if (!route.local_address) return NoInterface(route.origin);
  }
  const bool reads = options.proxy.empty() && options.proxy_from_environment;
  const ProxySetting by =
      reads ? ProxyFromEnvironment(route.origin.tls) : ProxySetting{.url = options.proxy};
  const std::string& no_proxy = options.no_proxy.empty() ? by.no_proxy : options.no_proxy;
  if (by.url.empty() || NeedsNoProxy(no_proxy, route.origin.host, route.origin.port)) {
    route.exempt = !options.proxy.empty() || options.proxy_from_environment;
    return route;
  }
  auto proxy = ParseProxy(by.url);
  if (!proxy.ok()) {
    return AtPeer(reads ? absl::StrCat(route.origin.url, ": ", by.variable) : route.origin.url,
                  proxy.status());
  }
  route.proxy = *std::move(proxy);
  return route;
}

}  // namespace holdfast::http::internal
