// ResultTraits tells Holdfast how to read a result type: the status that a result means, and the
// result that stands for a policy's refusal.
//
//   template <>
//   struct holdfast::ResultTraits<Reply> {
//     static absl::Status StatusOf(const Reply& reply);
//     static Reply FromStatus(absl::Status status);
//     static std::optional<holdfast::Duration> RetryAfter(const Reply&) { return std::nullopt; }
//   };
#ifndef HOLDFAST_BASE_RESULT_H_
#define HOLDFAST_BASE_RESULT_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <concepts>
#include <optional>
#include <system_error>
#include <utility>

#include "holdfast/base/error.h"
#include "holdfast/base/time.h"

namespace holdfast {

// Specialize it for a result type of your own. Specializations for absl::Status, absl::StatusOr<T>,
// std::error_code, std::optional<T> and types like std::expected are below. Put an executor that
// throws or returns any other type in Catching (catching.h). docs/results.md lists all of them.
//   StatusOf    returns OK for a success, otherwise the failure; called once per policy that needs
//               it, so make it cheap for successes
//   FromStatus  returns the result that stands for a policy's refusal
//   RetryAfter  returns the backend's Retry-After, if any
//   IsTransient (optional) takes the result, or the call and the result: whether this failure may
//               pass by itself, so that Retry retries it. The form with the call may return a
//               RetryDecision (retry_decision.h). Without it, holdfast::IsTransient decides by the
//               status
//   EffectOf    (optional) takes the call and the result: what the run that gave the result can
//               have done, as an Effect (repeatability.h). Without it that is unknown
//   IsConflict  (optional) takes the result: whether a success may only mean that another run of
//               the same call is under way or came first. Hedge then prefers the result of the
//               other run
template <class R>
struct ResultTraits;

template <>
struct ResultTraits<absl::Status> {
  static const absl::Status& StatusOf(const absl::Status& result) { return result; }
  static absl::Status FromStatus(absl::Status status) { return status; }
  static std::optional<Duration> RetryAfter(const absl::Status&) { return std::nullopt; }
};

template <class T>
struct ResultTraits<absl::StatusOr<T>> {
  static const absl::Status& StatusOf(const absl::StatusOr<T>& result) { return result.status(); }
  static absl::StatusOr<T> FromStatus(absl::Status status) { return status; }
  static std::optional<Duration> RetryAfter(const absl::StatusOr<T>&) { return std::nullopt; }
};

// A policy's refusal is a code of StatusCategory() (error.h).
template <>
struct ResultTraits<std::error_code> {
  static absl::Status StatusOf(const std::error_code& result) { return holdfast::StatusOf(result); }
  static std::error_code FromStatus(const absl::Status& status) {
    return ErrorTraits<std::error_code>::FromStatus(status);
  }
  static std::optional<Duration> RetryAfter(const std::error_code&) { return std::nullopt; }
};

namespace internal {

const absl::Status& NoValue();

// std::expected, and what has its members: those of other libraries, a result of Boost.Outcome.
template <class R>
concept LikeExpected = requires(const R& result) {
  typename R::value_type;
  typename R::error_type;
  { result.has_value() } -> std::convertible_to<bool>;
  { result.error() } -> std::convertible_to<const typename R::error_type&>;
};

template <class R>
concept HasUnexpectedType =
    std::constructible_from<R, typename R::unexpected_type> &&
    std::constructible_from<typename R::unexpected_type, typename R::error_type>;

template <class R>
concept MadeOfError = HasUnexpectedType<R> || std::constructible_from<R, typename R::error_type>;

}  // namespace internal

// nullopt is a failure that may pass (kUnavailable), or a policy's refusal. If nullopt is a valid
// answer of your executor, return absl::StatusOr<std::optional<T>> instead.
template <class T>
struct ResultTraits<std::optional<T>> {
  static const absl::Status& StatusOf(const std::optional<T>& result) {
    static const absl::Status ok;
    return result.has_value() ? ok : internal::NoValue();
  }
  static std::optional<T> FromStatus(const absl::Status&) { return std::nullopt; }
  static std::optional<Duration> RetryAfter(const std::optional<T>&) { return std::nullopt; }
};

// For std::expected and types with its members, where the error type has ErrorTraits (error.h).
template <internal::LikeExpected R>
  requires(HasErrorTraits<typename R::error_type> && internal::MadeOfError<R>)
struct ResultTraits<R> {
  using Error = typename R::error_type;

  static absl::Status StatusOf(const R& result) {
    if (result.has_value()) return absl::OkStatus();
    return ErrorTraits<Error>::StatusOf(result.error());
  }
  static R FromStatus(absl::Status status) {
    Error error = ErrorTraits<Error>::FromStatus(std::move(status));
    if constexpr (internal::HasUnexpectedType<R>) {
      return R(typename R::unexpected_type(std::move(error)));
    } else {
      return R(std::move(error));
    }
  }
  static std::optional<Duration> RetryAfter(const R&) { return std::nullopt; }
};

template <class R>
concept HasResultTraits = requires(const R& result, absl::Status status) {
  { ResultTraits<R>::StatusOf(result) } -> std::convertible_to<absl::Status>;
  { ResultTraits<R>::FromStatus(std::move(status)) } -> std::convertible_to<R>;
  { ResultTraits<R>::RetryAfter(result) } -> std::convertible_to<std::optional<Duration>>;
};

// Whether a failure is transient, so that a retry may succeed: kUnavailable, kResourceExhausted,
// kDeadlineExceeded and kAborted (the retryable codes of absl/status/status.h).
inline bool IsTransient(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kAborted:
      return true;
    default:
      return false;
  }
}

}  // namespace holdfast

#endif  // HOLDFAST_BASE_RESULT_H_
