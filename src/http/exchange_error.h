// How an exchange is ended from outside, and what the caller is told then.
#ifndef HOLDFAST_SRC_HTTP_EXCHANGE_ERROR_H_
#define HOLDFAST_SRC_HTTP_EXCHANGE_ERROR_H_

#include <absl/status/status.h>

#include "holdfast/http/transport_error.h"
#include "src/http/exchange/exchange.h"
#include "src/http/net/pace.h"
#include "src/http/origin.h"

namespace holdfast::http::internal {

absl::Status DeadlineExceeded(const Route& route, TransportError kind);
absl::Status Cancelled(const Route& route, TransportError kind);
// The system can't wait; `error` is an errno.
absl::Status CannotWait(const Route& route, int error, TransportError kind);

// Tells the exchange why its driver ended, if not because it is done.
void Interrupt(Exchange& exchange, DriveEnd end);

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_EXCHANGE_ERROR_H_
