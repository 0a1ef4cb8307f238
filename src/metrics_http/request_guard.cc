#include "src/metrics_http/request_guard.h"

#include <absl/strings/escaping.h>

#include <algorithm>
#include <cstddef>

#include "holdfast/base/internal/string_view.h"
#include "src/http/net/address.h"

namespace holdfast::internal {
namespace {

using http::wire::EqualsIgnoringCase;
using http::wire::FindField;

constexpr std::string_view kHttp = "http://";

bool IsAddress(std::string_view host) {
  return http::internal::Address::Parse(host, 0).has_value();
}

// In a time that does not depend on where they differ.
bool SameSecret(std::string_view a, std::string_view b) {
  unsigned differs = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const char other = b.empty() ? '\0' : b[i % b.size()];
    differs |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(other);
  }
  return differs == 0;
}

// The host of an absolute target counts, and Host does not (RFC 9112, 3.2.2).
std::string_view HostOf(const http::wire::RequestReader& request) {
  std::string_view target = request.target();
  if (EqualsIgnoringCase(target.substr(0, kHttp.size()), kHttp)) {
    target.remove_prefix(kHttp.size());
    return target.substr(0, target.find_first_of("/?"));
  }
  return FindField(request.fields(), "Host").value_or("");
}

// A browser says which page a request is for (Fetch Metadata). Another site may link to the page;
// nothing else of this server is for its pages.
bool IsOfAnotherSite(const http::wire::RequestReader& request) {
  const std::string_view site = FindField(request.fields(), "Sec-Fetch-Site").value_or("none");
  if (site == "none" || site == "same-origin") return false;
  return FindField(request.fields(), "Sec-Fetch-Mode") != "navigate" ||
         FindField(request.fields(), "Sec-Fetch-Dest") != "document" ||
         PathOf(request.target()) != "/";
}

ServerResponse NeedsToken() {
  ServerResponse response = SentenceResponse(401, "the token is missing or wrong");
  response.fields.push_back(
      {.name = "WWW-Authenticate", .value = "Basic realm=\"holdfast\", charset=\"UTF-8\""});
  return response;
}

ServerResponse OnlyReads() {
  ServerResponse response = SentenceResponse(405, "only GET and HEAD are answered");
  response.fields.push_back({.name = "Allow", .value = "GET, HEAD"});
  return response;
}

}  // namespace

std::optional<std::string_view> PathOf(std::string_view target) {
  if (EqualsIgnoringCase(target.substr(0, kHttp.size()), kHttp)) {
    target.remove_prefix(kHttp.size());
    const std::size_t path = target.find_first_of("/?");
    if (path == std::string_view::npos || target[path] == '?') return "/";
    target.remove_prefix(path);
  }
  if (!target.starts_with('/')) return std::nullopt;
  return target.substr(0, target.find('?'));
}

bool IsHostOf(std::string_view host, std::span<const std::string> hosts) {
  if (host.starts_with('[')) {
    const std::size_t end = host.find(']');
    if (end == std::string_view::npos) return false;
    const std::string_view port = host.substr(end + 1);
    return (port.empty() || port.front() == ':') && IsAddress(host.substr(1, end - 1));
  }
  host = host.substr(0, host.find(':'));
  if (host.ends_with('.')) host.remove_suffix(1);
  if (EqualsIgnoringCase(host, "localhost") || IsAddress(host)) return true;
  return std::ranges::any_of(
      hosts, [host](const std::string& each) { return EqualsIgnoringCase(each, host); });
}

bool BringsToken(std::string_view authorization, std::string_view token) {
  const std::size_t space = authorization.find(' ');
  if (space == std::string_view::npos) return false;
  const std::string_view scheme = authorization.substr(0, space);
  std::string_view credentials = authorization.substr(space + 1);
  credentials.remove_prefix(std::min(credentials.find_first_not_of(' '), credentials.size()));
  if (EqualsIgnoringCase(scheme, "Bearer")) return SameSecret(credentials, token);
  std::string pair;
  if (!EqualsIgnoringCase(scheme, "Basic") || !absl::Base64Unescape(ToAbsl(credentials), &pair)) {
    return false;
  }
  const std::size_t colon = pair.find(':');
  return colon != std::string::npos && SameSecret(std::string_view(pair).substr(colon + 1), token);
}

std::optional<ServerResponse> RefusalOf(const http::wire::RequestReader& request,
                                        const MetricsServerOptions& options) {
  if (!IsHostOf(HostOf(request), options.hosts)) {
    return SentenceResponse(421, "this server has another name: MetricsServerOptions::hosts");
  }
  if (request.method() != "GET" && request.method() != "HEAD") return OnlyReads();
  if (!PathOf(request.target())) return SentenceResponse(400, "the target has no path");
  if (IsOfAnotherSite(request)) return SentenceResponse(403, "this is not for other sites");
  if (!options.token.empty() && PathOf(request.target()) != "/healthz") {
    const auto authorization = FindField(request.fields(), "Authorization");
    if (!authorization || !BringsToken(*authorization, options.token)) return NeedsToken();
  }
  return std::nullopt;
}

}  // namespace holdfast::internal
