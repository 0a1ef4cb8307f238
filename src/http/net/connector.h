// Connects to a host within a time, for a thread that may block.
#ifndef HOLDFAST_SRC_HTTP_NET_CONNECTOR_H_
#define HOLDFAST_SRC_HTTP_NET_CONNECTOR_H_

#include <absl/status/statusor.h>

#include <string_view>

#include "holdfast/base/time.h"
#include "src/http/net/connecting.h"
#include "src/http/net/waiting.h"

namespace holdfast::http::internal {

// Resolves `host` (a name, or a literal without brackets) and races its addresses. The status says
// which host, which address and why, and comes without a TransportError:
//
//   kInvalidArgument    host, port or options can't be right
//   kUnavailable        no address, all addresses failed, or the deadline has passed
//   kResourceExhausted  no descriptor, port, memory or thread is left here
//   kCancelled          `stop`
absl::StatusOr<Connected> Connect(std::string_view host, int port, const ConnectOptions& options,
                                  TimePoint deadline, const StopSignal& stop);

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_NET_CONNECTOR_H_
