// How Holdfast reads a result: ResultTraits turns it into a status and a rejection into it.
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

// Specialise it for a result type of your own. Here are absl::Status, absl::StatusOr<T>,
// std::error_code, std::optional<T> and what is like std::expected; an executor that throws, or
// returns anything else, goes into Catching (catching.h). docs/results.md has a row for each.
//   StatusOf    OK for a success, otherwise the failure; called once by every policy that asks, so
//               cheap for a success
//   FromStatus  a result that says what a policy refused
//   RetryAfter  how long the backend asked to be left alone, where it did
//   IsTransient (optional) whether this failure may pass by itself, of the result or of the call
//               and the result (which may also answer with a RetryDecision, see retry.h); without
//               it, the function below judges by the status
//   EffectOf    (optional) of the call and the result: what the run that gave it can have done, as
//               an Effect (repeatability.h); without it that is not known, of a failure either
//   IsConflict  (optional) whether a success may only say that another run of the same call is
//               under way or was first: Hedge prefers the other's result then
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

// What a policy says is in StatusCategory() (error.h).
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

// Without a value: a failure that may pass (kUnavailable), and what a policy refused. Where that is
// an answer, return absl::StatusOr<std::optional<T>>.
template <class T>
struct ResultTraits<std::optional<T>> {
  static const absl::Status& StatusOf(const std::optional<T>& result) {
    static const absl::Status ok;
    return result.has_value() ? ok : internal::NoValue();
  }
  static std::optional<T> FromStatus(const absl::Status&) { return std::nullopt; }
  static std::optional<Duration> RetryAfter(const std::optional<T>&) { return std::nullopt; }
};

// The error is one that has ErrorTraits (error.h).
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

// Whether a failure may pass by itself, so that trying again is worth it: unavailable, exhausted,
// too slow, or aborted by a conflict (the retryable codes of absl/status/status.h).
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
