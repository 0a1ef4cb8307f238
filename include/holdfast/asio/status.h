// How an error_code of Asio becomes a status, for asynchronous operations that complete with one,
// and for coroutines that throw one as a system_error.
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
// As of a std::error_code: see error.h.
inline absl::Status StatusOf(const boost::system::error_code& error) {
  return StatusOf(static_cast<std::error_code>(error));
}
#endif

namespace internal {

// Of a system_error of Asio's; nullopt for anything else that was thrown.
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
