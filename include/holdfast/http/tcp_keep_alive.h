// TcpKeepAlive lets the kernel find out that an idle peer of TCP is gone.
//
//   holdfast::http::TransportOptions options;
//   options.tcp_keep_alive = holdfast::http::TcpKeepAlive{.idle = 20s, .count = 3};
#ifndef HOLDFAST_HTTP_TCP_KEEP_ALIVE_H_
#define HOLDFAST_HTTP_TCP_KEEP_ALIVE_H_

#include <absl/status/status.h>

#include <chrono>

#include "holdfast/base/time.h"

namespace holdfast::http {

// After `idle` without traffic the kernel asks the peer every `interval`, and gives the connection
// up after `count` questions without an answer (RFC 9293, 3.8.4). The ranges are those of Linux.
struct TcpKeepAlive {
  TimeSpan idle = std::chrono::seconds(60);      // 1 s to 32,767 s; rounded up to seconds
  TimeSpan interval = std::chrono::seconds(15);  // the same
  int count = 4;                                 // 1 to 127
};

// kInvalidArgument says which field is out of range.
absl::Status Validate(const TcpKeepAlive& keep_alive);

}  // namespace holdfast::http

#endif  // HOLDFAST_HTTP_TCP_KEEP_ALIVE_H_
