// How long a server says that it keeps a connection that nothing is sent on.
#ifndef HOLDFAST_SRC_HTTP_KEEP_ALIVE_H_
#define HOLDFAST_SRC_HTTP_KEEP_ALIVE_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "holdfast/base/time.h"

namespace holdfast::http::internal {

// What a server promises; what it does not say is unset.
struct KeepAliveHint {
  std::optional<Duration> timeout = std::nullopt;       // without a request
  std::optional<std::int64_t> requests = std::nullopt;  // that may yet come
};

// Of the value of Keep-Alive, "timeout=5, max=100" (RFC 2068, 19.7.1.1; no later one has it). What
// is malformed says nothing.
KeepAliveHint ParseKeepAlive(std::string_view value);

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_KEEP_ALIVE_H_
