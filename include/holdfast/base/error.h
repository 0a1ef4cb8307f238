// Errors that are no absl::Status: ErrorTraits turns one into a status and a refusal into one, for
// what is like std::expected; StatusOfException reads what was thrown.
//
//   template <>
//   struct holdfast::ErrorTraits<DbError> {
//     static absl::Status StatusOf(const DbError& error);
//     static DbError FromStatus(absl::Status status);
//   };
#ifndef HOLDFAST_BASE_ERROR_H_
#define HOLDFAST_BASE_ERROR_H_

#include <absl/status/status.h>

#include <concepts>
#include <exception>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace holdfast {

// Thrown to the caller of an executor in Catching (catching.h) whose result has no room for a
// status: what a policy had to say, which is a refusal (RejectionOf(error.status()) says by whom)
// or that an attempt was cut off at its deadline. It is never what the executor threw.
class StatusError : public std::runtime_error {
 public:
  // `status` is not OK.
  explicit StatusError(absl::Status status);
  const absl::Status& status() const noexcept { return status_; }

 private:
  absl::Status status_;
};

// kCancelled for an operation that was cancelled, kDeadlineExceeded for one that timed out,
// kUnavailable for a connection that can't be made or that was lost, kUnknown for codes of a
// library of its own that are no errno; otherwise what absl::ErrnoToStatusCode says. Knows the
// codes of Asio. OK for no error.
absl::Status StatusOf(const std::error_code& error);

// The category "holdfast" has absl's codes for values: what a policy says where a result is a
// std::error_code. StatusOf turns them back; which policy it was is lost.
const std::error_category& StatusCategory();

// Of what was thrown: a StatusError's status, what StatusOf says of a std::system_error's code,
// and kUnknown, which no Retry tries again, for everything else.
absl::Status StatusOfException(const std::exception_ptr& error);

// Specialise it for an error type of your own; these are here: absl::Status, std::error_code,
// std::exception_ptr.
//   StatusOf    of an error, so never OK
//   FromStatus  an error that says what a policy refused
template <class E>
struct ErrorTraits;

template <>
struct ErrorTraits<absl::Status> {
  static const absl::Status& StatusOf(const absl::Status& error) { return error; }
  static absl::Status FromStatus(absl::Status status) { return status; }
};

template <>
struct ErrorTraits<std::error_code> {
  static absl::Status StatusOf(const std::error_code& error) { return holdfast::StatusOf(error); }
  static std::error_code FromStatus(const absl::Status& status) {
    return {static_cast<int>(status.code()), StatusCategory()};
  }
};

template <>
struct ErrorTraits<std::exception_ptr> {
  static absl::Status StatusOf(const std::exception_ptr& error) { return StatusOfException(error); }
  static std::exception_ptr FromStatus(absl::Status status) {
    return std::make_exception_ptr(StatusError(std::move(status)));
  }
};

template <class E>
concept HasErrorTraits = requires(const E& error, absl::Status status) {
  { ErrorTraits<E>::StatusOf(error) } -> std::convertible_to<absl::Status>;
  { ErrorTraits<E>::FromStatus(std::move(status)) } -> std::convertible_to<E>;
};

}  // namespace holdfast

#endif  // HOLDFAST_BASE_ERROR_H_
