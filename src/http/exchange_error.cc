#include "src/http/exchange_error.h"

#include <absl/strings/str_cat.h>

#include <system_error>

namespace holdfast::http::internal {

absl::Status DeadlineExceeded(const Route& route, TransportError kind) {
  return WithTransportError(absl::DeadlineExceededError(absl::StrCat(
                                route.Describe(), ": no answer before the call's deadline")),
                            kind);
}

absl::Status Cancelled(const Route& route, TransportError kind) {
  return WithTransportError(
      absl::CancelledError(absl::StrCat(route.Describe(), ": the caller stopped the call")), kind);
}

absl::Status CannotWait(const Route& route, int error, TransportError kind) {
  return WithTransportError(absl::ResourceExhaustedError(
                                absl::StrCat(route.Describe(), ": can't wait for the connection: ",
                                             std::generic_category().message(error))),
                            kind);
}

void Interrupt(Exchange& exchange, DriveEnd end) {
  using Interruption = Exchange::Interruption;
  switch (end) {
    case DriveEnd::kDone:
    case DriveEnd::kClosed:
    case DriveEnd::kFailed:
      return;
    case DriveEnd::kDeadline:
      return exchange.Interrupted(Interruption::kDeadline);
    case DriveEnd::kReadTimeout:
      return exchange.Interrupted(Interruption::kReadTimeout);
    case DriveEnd::kWriteTimeout:
      return exchange.Interrupted(Interruption::kWriteTimeout);
    case DriveEnd::kStopped:
      return exchange.Interrupted(Interruption::kCancelled);
  }
}

}  // namespace holdfast::http::internal
