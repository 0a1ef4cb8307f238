// The socket that a server takes its connections from.
#ifndef HOLDFAST_SRC_METRICS_HTTP_LISTENING_H_
#define HOLDFAST_SRC_METRICS_HTTP_LISTENING_H_

#include <absl/status/statusor.h>

#include <string_view>

#include "src/http/net/address.h"
#include "src/http/net/descriptor.h"

namespace holdfast::internal {

// Whether only this machine can reach it: 127.0.0.0/8 and ::1. False for what is no address.
bool IsLoopback(std::string_view address);

struct Listening {
  http::internal::Descriptor socket;  // non-blocking
  http::internal::Address address;    // with the port that it got
};

// Errors are those of MetricsServer::Start.
absl::StatusOr<Listening> ListenOn(std::string_view address, int port);

struct Accepted {
  http::internal::Descriptor socket;  // non-blocking, and with TCP_NODELAY; none: see `error`
  int error = 0;                      // errno; EAGAIN where nobody waits
};

Accepted AcceptFrom(int listening);

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_METRICS_HTTP_LISTENING_H_
