// ResultTraits of cpp-httplib's results: a stack can wrap any call that returns httplib::Result or
// absl::StatusOr<httplib::Response>.
//
//   auto fetch = holdfast::Stack(holdfast::Retry({.max_attempts = 4}))
//                    .Around([&](const std::string& path) { return client.Get(path); });
//   httplib::Result result = fetch("/orders/7");
//
// A response with status 429 is a failure with the code kResourceExhausted; one with a status from
// 500 up, except 501, is a failure with kUnavailable. Every other response is a success, 404 and
// 501 included. A call without a response fails with one of the codes listed in transport.h, and
// TransportErrorOf (transport_error.h) tells the kind of the error. retry.h says which of these
// failures Retry sends again.
#ifndef HOLDFAST_HTTP_RESULT_H_
#define HOLDFAST_HTTP_RESULT_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <httplib.h>

#include <optional>
#include <string_view>

#include "holdfast/base/result.h"
#include "holdfast/base/time.h"
#include "holdfast/call/call.h"
#include "holdfast/call/internal/rerun.h"
#include "holdfast/call/repeatability.h"
#include "holdfast/call/retry_decision.h"
#include "holdfast/http/repeatable.h"
#include "holdfast/http/request.h"  // IWYU pragma: export
#include "holdfast/http/transport_error.h"

namespace holdfast {
namespace http {

// The delay that a Retry-After header asks for. The value is a number of seconds or a date in any
// format of RFC 9110, 5.6.7. Returns zero for a date in the past, at most `most` (>= 0), and
// nullopt for any other value. A date is compared with the wall clock, which nothing else in
// Holdfast reads. RetryOptions::max_retry_after bounds the delay that Retry accepts.
std::optional<Duration> ParseRetryAfter(std::string_view value, TimeSpan most = Duration::max());

namespace internal {

// The default rule of all policies, as in hashicorp/go-retryablehttp.
constexpr bool IsFailure(int code) { return code == 429 || (code >= 500 && code != 501); }

absl::Status StatusOfFailure(const httplib::Response& response);

inline absl::Status StatusOf(const httplib::Response& response) {
  return IsFailure(response.status) ? StatusOfFailure(response) : absl::OkStatus();
}

std::optional<Duration> RetryAfter(const httplib::Response& response);

// The rules of retry.h for a failed attempt with this effect. `any_method`: the method is not asked
// for.
RetryDecision CheckFailure(const Call& call, const absl::Status& failure, Effect effect,
                           bool any_method = false);

// Whether the call's request is an httplib::Request with a callback for the response's body.
bool HandsOn(const Call& call);

// For a result that has no response.
absl::Status StatusOfEmpty(const httplib::Result& result);
httplib::Result EmptyResult(const absl::Status& status);

}  // namespace internal
}  // namespace http

// For what Transport returns.
template <>
struct ResultTraits<absl::StatusOr<httplib::Response>> {
  using Result = absl::StatusOr<httplib::Response>;

  static absl::Status StatusOf(const Result& result) {
    return result.ok() ? http::internal::StatusOf(*result) : result.status();
  }
  static Result FromStatus(absl::Status status) { return status; }
  static std::optional<Duration> RetryAfter(const Result& result) {
    return result.ok() ? http::internal::RetryAfter(*result) : std::nullopt;
  }
  static RetryDecision IsTransient(const Call& call, const Result& result) {
    const absl::Status status = StatusOf(result);
    return http::internal::CheckFailure(call, status,
                                        holdfast::internal::EffectOf(call, status, result));
  }
  // Transport does not pass the body of a failure to a receiver.
  static Effect EffectOf(const Call& call, const Result& result) {
    if (!result.ok()) return http::EffectOf(http::TransportErrorOf(result.status()));
    const bool failed = http::internal::IsFailure(result->status);
    return http::EffectOf(result->status, !failed && http::internal::HandsOn(call));
  }
  static bool IsConflict(const Result& result) {
    return result.ok() && http::IsConflict(result->status);
  }
};

// For what httplib::Client returns. A policy's rejection is a result without a response, with the
// nearest httplib::Error (Canceled, ConnectionTimeout or Connection); StatusOf still returns the
// policy's own status, text and payload included. cpp-httplib does not distinguish a read timeout
// from another Error::Read, and does not say which host a client that follows redirects failed to
// reach.
template <>
struct ResultTraits<httplib::Result> {
  static absl::Status StatusOf(const httplib::Result& result) {
    return result ? http::internal::StatusOf(*result) : http::internal::StatusOfEmpty(result);
  }
  static httplib::Result FromStatus(const absl::Status& status) {
    return http::internal::EmptyResult(status);
  }
  static std::optional<Duration> RetryAfter(const httplib::Result& result) {
    return result ? http::internal::RetryAfter(*result) : std::nullopt;
  }
  static RetryDecision IsTransient(const Call& call, const httplib::Result& result) {
    const absl::Status status = StatusOf(result);
    return http::internal::CheckFailure(call, status,
                                        holdfast::internal::EffectOf(call, status, result));
  }
  // httplib::Client passes the body of every response to a receiver.
  static Effect EffectOf(const Call& call, const httplib::Result& result) {
    const bool hands_on = http::internal::HandsOn(call);
    if (result) return http::EffectOf(result->status, hands_on);
    const Effect effect = http::EffectOf(http::TransportErrorOf(StatusOf(result)));
    return effect == Effect::kUnanswered && hands_on ? Effect::kUnknown : effect;
  }
  static bool IsConflict(const httplib::Result& result) {
    return result && http::IsConflict(result->status);
  }
};

}  // namespace holdfast

#endif  // HOLDFAST_HTTP_RESULT_H_
