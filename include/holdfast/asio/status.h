// How an error_code of Asio becomes a status, for asynchronous operations that complete with one.
//
//   absl::Status status = holdfast::StatusOf(std::make_error_code(std::errc::connection_refused));
//   // UNAVAILABLE: Connection refused
#ifndef HOLDFAST_ASIO_STATUS_H_
#define HOLDFAST_ASIO_STATUS_H_

#include <absl/status/status.h>
#include <absl/strings/string_view.h>

#include <string>

#include "holdfast/asio/config.h"

namespace holdfast {

// kCancelled for an operation that was cancelled, kDeadlineExceeded for one that timed out,
// kUnavailable for a connection that can't be made or that was lost, kUnknown for codes of a
// library of its own; otherwise what absl::ErrnoToStatusCode says. OK for no error.
inline absl::Status StatusOf(const internal::ErrorCode& error) {
  if (!error) return absl::OkStatus();
  const auto code = [&error] {
    for (const auto unavailable :
         {net::error::connection_refused, net::error::connection_reset,
          net::error::connection_aborted, net::error::broken_pipe, net::error::not_connected,
          net::error::host_unreachable, net::error::network_unreachable, net::error::network_down,
          net::error::network_reset, net::error::try_again}) {
      if (error == unavailable) return absl::StatusCode::kUnavailable;
    }
    if (error == net::error::operation_aborted) return absl::StatusCode::kCancelled;
    if (error == net::error::timed_out) return absl::StatusCode::kDeadlineExceeded;
    if (error == net::error::eof || error == net::error::host_not_found_try_again) {
      return absl::StatusCode::kUnavailable;
    }
    const auto condition = error.default_error_condition();
    // Asio's own system category does not say that its values are errno's.
    if (condition.category() != internal::GenericCategory() &&
        error.category() != net::error::get_system_category()) {
      return absl::StatusCode::kUnknown;
    }
    return absl::ErrnoToStatusCode(condition.value());
  }();
  const std::string message = error.message();
  return absl::Status(code, absl::string_view(message.data(), message.size()));
}

}  // namespace holdfast

#endif  // HOLDFAST_ASIO_STATUS_H_
