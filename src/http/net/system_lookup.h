// Asks the system for the addresses of a host, and says why there are none.
#ifndef HOLDFAST_SRC_HTTP_NET_SYSTEM_LOOKUP_H_
#define HOLDFAST_SRC_HTTP_NET_SYSTEM_LOOKUP_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <vector>

#include "src/http/net/address.h"

namespace holdfast::http::internal {

// Calls getaddrinfo, which blocks for as long as it likes. At least one address, with port 0, in
// getaddrinfo's order (RFC 6724). The error is that of LookupErrorStatus.
absl::StatusOr<std::vector<Address>> SystemLookup(const std::string& host);

// For `error`, a result of getaddrinfo, and the errno that it left, which EAI_SYSTEM points to:
// kResourceExhausted for a lack of memory or descriptors, else kUnavailable. Never OK.
absl::Status LookupErrorStatus(std::string_view host, int error, int system_error);

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_NET_SYSTEM_LOOKUP_H_
