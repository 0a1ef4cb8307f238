// ResultTraits of HTTP responses: how policies read what Transport returns, and what any other
// executor returns that answers with an absl::StatusOr<http::Response>.
//
//   auto fetch = holdfast::Stack(holdfast::Retry({.max_attempts = 4}))
//                    .Around([&](const holdfast::http::Request& order) { return transport(order);
//                    });
//   absl::StatusOr<holdfast::http::Response> response = fetch(request);
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

#include <concepts>
#include <optional>
#include <string_view>

#include "holdfast/base/result.h"
#include "holdfast/base/time.h"
#include "holdfast/call/call.h"
#include "holdfast/call/internal/rerun.h"
#include "holdfast/call/repeatability.h"
#include "holdfast/call/retry_decision.h"
#include "holdfast/http/message.h"  // IWYU pragma: export
#include "holdfast/http/repeatable.h"
#include "holdfast/http/request.h"  // IWYU pragma: export
#include "holdfast/http/transport_error.h"

// cpp-httplib's own: see the end.
namespace httplib {
struct Request;
struct Response;
class Result;
}  // namespace httplib

namespace holdfast {
namespace http {

// The delay that a Retry-After header asks for. The value is a number of seconds or a date in any
// format of RFC 9110, 5.6.7. Returns zero for a date in the past, at most `most` (>= 0), and
// nullopt for any other value. A date is compared with the wall clock, which nothing else in
// Holdfast reads. RetryOptions::max_retry_after bounds the delay that Retry accepts.
std::optional<Duration> ParseRetryAfter(std::string_view value, TimeSpan most = Duration::max());

// What the rules below need to know of a response. Specialize it for a response of a type of your
// own: an absl::StatusOr of it then has these rules.
//   StatusOf      the status code, an int
//   ReasonOf      the reason phrase, for the text of a failure; may be empty
//   RetryAfterOf  the value of the header Retry-After; empty where there is none
template <class T>
struct ResponseTraits;

template <>
struct ResponseTraits<Response> {
  static int StatusOf(const Response& response) { return response.status; }
  static std::string_view ReasonOf(const Response& response) { return response.reason; }
  static std::string_view RetryAfterOf(const Response& response) {
    return response.headers.Find("Retry-After").value_or(std::string_view());
  }
};

template <class T>
concept HasResponseTraits = requires(const T& response) {
  { ResponseTraits<T>::StatusOf(response) } -> std::convertible_to<int>;
  { ResponseTraits<T>::ReasonOf(response) } -> std::convertible_to<std::string_view>;
  { ResponseTraits<T>::RetryAfterOf(response) } -> std::convertible_to<std::string_view>;
};

namespace internal {

// The default rule of all policies, as in hashicorp/go-retryablehttp.
constexpr bool IsFailure(int code) { return code == 429 || (code >= 500 && code != 501); }

absl::Status StatusOfFailure(int code, std::string_view reason);

template <HasResponseTraits T>
absl::Status StatusOf(const T& response) {
  const int code = ResponseTraits<T>::StatusOf(response);
  if (!IsFailure(code)) return absl::OkStatus();
  return StatusOfFailure(code, ResponseTraits<T>::ReasonOf(response));
}

template <HasResponseTraits T>
std::optional<Duration> RetryAfter(const T& response) {
  return ParseRetryAfter(ResponseTraits<T>::RetryAfterOf(response));
}

// The rules of retry.h for a failed attempt with this effect. `any_method`: the method is not asked
// for.
RetryDecision CheckFailure(const Call& call, const absl::Status& failure, Effect effect,
                           bool any_method = false);

// The same for any attempt with this effect, whatever it returned.
RetryDecision CheckEffect(const Call& call, Effect effect, bool any_method = false);

// Whether the call's request has a callback for the response's body.
bool HandsOn(const Call& call);

}  // namespace internal
}  // namespace http

// For what Transport returns.
template <http::HasResponseTraits T>
struct ResultTraits<absl::StatusOr<T>> {
  using Result = absl::StatusOr<T>;

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
  // Transport passes to a receiver only what IsForReceiver.
  static Effect EffectOf(const Call& call, const Result& result) {
    if (!result.ok()) return http::EffectOf(http::TransportErrorOf(result.status()));
    const int code = http::ResponseTraits<T>::StatusOf(*result);
    return http::EffectOf(code, http::IsForReceiver(code) && http::internal::HandsOn(call));
  }
  static bool IsConflict(const Result& result) {
    return result.ok() && http::IsConflict(http::ResponseTraits<T>::StatusOf(*result));
  }
};

namespace http::internal {

// Where the types of cpp-httplib are used without their adapter, policies would not know the method
// of a request nor the status code of a response. The adapter's specializations, or a program's
// own, take the place of those below, which only say so.
template <class T>
struct NeedsHttplibAdapter {
  static_assert(!std::same_as<T, T>,
                "a stack around cpp-httplib's types needs holdfast/http/httplib.h: include it "
                "where the stack is made");
};

}  // namespace http::internal

template <std::same_as<httplib::Request> T>
struct RequestTraits<T> : http::internal::NeedsHttplibAdapter<T> {};
template <std::same_as<httplib::Result> T>
struct ResultTraits<T> : http::internal::NeedsHttplibAdapter<T> {};
template <std::same_as<httplib::Response> T>
struct http::ResponseTraits<T> : http::internal::NeedsHttplibAdapter<T> {};

}  // namespace holdfast

#endif  // HOLDFAST_HTTP_RESULT_H_
