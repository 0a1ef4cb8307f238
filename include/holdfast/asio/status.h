// Converts an error_code of Asio to an absl::Status. The driver does that for operations that
// complete with an error_code, and for coroutines that throw one as a system_error.
//
//   absl::Status status = holdfast::StatusOf(std::make_error_code(std::errc::connection_refused));
//   // UNAVAILABLE: Connection refused
#ifndef HOLDFAST_ASIO_STATUS_H_
#define HOLDFAST_ASIO_STATUS_H_

#include <absl/status/status.h>

#include <exception>
#include <optional>
#include <system_error>

#include "holdfast/asio/config.h"
#include "holdfast/base/error.h"  // IWYU pragma: export

namespace holdfast {

#ifdef HOLDFAST_BOOST_ASIO
// The same as for a std::error_code: see base/error.h.
inline absl::Status StatusOf(const boost::system::error_code& error) {
  return StatusOf(static_cast<std::error_code>(error));
}
#endif

namespace internal {

// The status of a system_error of Asio; nullopt for any other exception.
inline std::optional<absl::Status> StatusOfSystemError(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const SystemError& e) {
    if (!e.code()) return std::nullopt;
    return StatusOf(e.code());
  } catch (...) {
    return std::nullopt;
  }
}

}  // namespace internal
}  // namespace holdfast

#endif  // HOLDFAST_ASIO_STATUS_H_
