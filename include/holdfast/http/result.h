// How Holdfast reads cpp-httplib's results, so that any call that returns one can be wrapped as it
// is.
//
//   auto fetch = holdfast::Stack(holdfast::Retry({.max_attempts = 4}))
//                    .Around([&](const std::string& path) { return client.Get(path); });
//   httplib::Result result = fetch("/orders/7");
//
// An answer is a success whatever it says, 404 and 501 included, except 429 (kResourceExhausted)
// and the other codes from 500 up (kUnavailable), which say that the server could not answer now.
// What kept an answer from coming has the codes that transport.h lists, and TransportErrorOf
// (transport_error.h) knows its kind. Which of these failures are retried: see retry.h.
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

// What a Retry-After header asks for, in seconds or as any date of RFC 9110, 5.6.7: zero for a date
// that has passed, at most `most`, which is >= 0, and nullopt for what is neither. A date is
// compared with the wall clock; nothing else in Holdfast reads it. How much of it Retry puts up
// with is RetryOptions::max_retry_after.
std::optional<Duration> ParseRetryAfter(std::string_view value, TimeSpan most = Duration::max());

namespace internal {

// Of the policies' default rules, which are those of hashicorp/go-retryablehttp.
constexpr bool IsFailure(int code) { return code == 429 || (code >= 500 && code != 501); }

absl::Status StatusOfFailure(const httplib::Response& response);

inline absl::Status StatusOf(const httplib::Response& response) {
  return IsFailure(response.status) ? StatusOfFailure(response) : absl::OkStatus();
}

std::optional<Duration> RetryAfter(const httplib::Response& response);

// The rules of retry.h, after a run that did `effect`; of any method, if the caller says so.
RetryDecision CheckFailure(const Call& call, const absl::Status& failure, Effect effect,
                           bool any_method = false);

// Whether the request of the call, as far as it is known, has a callback for the answer's body.
bool HandsOn(const Call& call);

// For a result that has no response.
absl::Status StatusOfEmpty(const httplib::Result& result);
httplib::Result EmptyResult(const absl::Status& status);

}  // namespace internal
}  // namespace http

// Of what Transport returns.
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
  // No receiver gets what Transport has of a failure.
  static Effect EffectOf(const Call& call, const Result& result) {
    if (!result.ok()) return http::EffectOf(http::TransportErrorOf(result.status()));
    const bool failed = http::internal::IsFailure(result->status);
    return http::EffectOf(result->status, !failed && http::internal::HandsOn(call));
  }
  static bool IsConflict(const Result& result) {
    return result.ok() && http::IsConflict(result->status);
  }
};

// Of what httplib::Client returns. A policy's refusal comes as a result without a response, with
// the nearest httplib::Error (Canceled, ConnectionTimeout or Connection); its text, and whether it
// is a rejection, remain: ask StatusOf. An Error::Read may be a read timeout: httplib doesn't say.
// Nor does it say what a client that follows redirects had reached when it could not connect.
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
  // A client gives a receiver whatever comes.
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
