// Why a connection can't be opened.
#ifndef HOLDFAST_SRC_HTTP_NET_CONNECT_ERROR_H_
#define HOLDFAST_SRC_HTTP_NET_CONNECT_ERROR_H_

#include <absl/status/status.h>

#include <string_view>

namespace holdfast::http::internal {

// Of an errno of socket() or connect(). kResourceExhausted: this process has no descriptor, port or
// memory left; else kUnavailable. `who`, the peer, goes in front of the message.
absl::Status ConnectErrorStatus(int error, std::string_view who);

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_NET_CONNECT_ERROR_H_
