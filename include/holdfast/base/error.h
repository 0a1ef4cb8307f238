// Error types other than absl::Status. ErrorTraits converts an error type to a status and back, for
// results like std::expected; StatusOfException converts an exception to a status.
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

// Thrown to the caller of an executor in Catching (catching.h) whose result type can't hold a
// status, where a policy refused the call (RejectionOf(error.status()) says which) or an attempt
// was cut off at its deadline. What the executor itself throws reaches the caller unchanged.
class StatusError : public std::runtime_error {
 public:
  // `status` is not OK.
  explicit StatusError(absl::Status status);
  const absl::Status& status() const noexcept { return status_; }

 private:
  absl::Status status_;
};

// Returns OK for no error, kCancelled for an operation that was cancelled, kDeadlineExceeded for
// one that timed out, kUnavailable for a connection that can't be made or was lost, and for other
// errno values the code of absl::ErrnoToStatusCode. Codes of Asio are recognized; codes of other
// categories that are no errno give kUnknown.
absl::Status StatusOf(const std::error_code& error);

// The category "holdfast", whose values are those of absl::StatusCode. Where a result is a
// std::error_code, a policy's refusal is a code of this category. StatusOf converts it back to a
// status; the name of the policy is lost.
const std::error_category& StatusCategory();

// Converts an exception: a StatusError to its status, a std::system_error by StatusOf(its code),
// and any other exception to kUnknown, which Retry does not retry.
absl::Status StatusOfException(const std::exception_ptr& error);

// Specialize it for an error type of your own. Specializations for absl::Status, std::error_code
// and std::exception_ptr are below.
//   StatusOf    the status that an error means; never OK
//   FromStatus  the error that stands for a policy's refusal
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
