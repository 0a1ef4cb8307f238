// Which origins are reached without a proxy.
#ifndef HOLDFAST_SRC_HTTP_NO_PROXY_H_
#define HOLDFAST_SRC_HTTP_NO_PROXY_H_

#include <absl/status/status.h>

#include <string_view>

namespace holdfast::http::internal {

// A list is as TransportOptions::no_proxy, which is what curl (CURLOPT_NOPROXY) and Go
// (golang.org/x/net/http/httpproxy) take, as far as they agree. Where they do not: blanks separate
// entries, ".example.com" is the name itself as well, and localhost is no exception of its own, as
// with curl; an entry may have a port, and "*" may stand in a list with others, as with Go.

// kInvalidArgument shows the first entry that is none.
absl::Status CheckNoProxy(std::string_view list);

// `host` is a name, or an address without brackets. Entries that are none are left out.
bool NeedsNoProxy(std::string_view list, std::string_view host, int port);

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_NO_PROXY_H_
