// Which failed HTTP requests Retry sends again.
//
//   auto careful = holdfast::Stack(holdfast::Retry({})).Around(transport);
//   auto bold =
//       holdfast::Stack(holdfast::Retry({}, holdfast::http::RetryAnyMethod{})).Around(transport);
//   const holdfast::http::StandardClient patient(
//       "http://localhost:8080", {.retry_check = holdfast::http::RetryRequestTimeout{}});
//   request.headers.Set("Idempotency-Key", "\"order-7\"");  // now a POST is safe to send again
//   careful(request);
#ifndef HOLDFAST_HTTP_RETRY_H_
#define HOLDFAST_HTTP_RETRY_H_

#include <absl/status/status.h>

#include <type_traits>

#include "holdfast/base/result.h"
#include "holdfast/call/call.h"
#include "holdfast/call/internal/rerun.h"
#include "holdfast/call/retry_decision.h"
#include "holdfast/http/result.h"

namespace holdfast::http {

// The default rules. If the first argument of the call is a Request, or another request with
// RequestTraits as those of cpp-httplib (httplib.h), Retry sends it again after these failures:
//
//   any method           429 and 503, by which the server says that it did not act (RFC 6585, 4;
//                        RFC 9110, 15.6.4); TransportError::kConnect and kTls, where the request
//                        never reached the server, but for a proxy's 407; and a rejection by a
//                        policy, where RetryOptions say that rejections are retried
//   idempotent requests  also the other status codes from 500 up, except 501; kOutcomeUnknown; and
//                        any transient status that carries no TransportError
//   no request           everything else: other responses, certificates, malformed URLs and
//                        requests, redirects, cancellation, kPartialResponse, and kMalformed
//
// Idempotent requests are those with GET, HEAD, OPTIONS, TRACE, PUT or DELETE (RFC 9110, 9.2.2),
// and any request with an Idempotency-Key header, by which the server recognizes a repetition
// (draft-ietf-httpapi-idempotency-key-header). Holdfast never adds that header: it has no effect on
// a server that does not read it.
//
// If the first argument has another type, the method is unknown and every transient failure is
// retried. A call that must not happen twice then needs a check of its own.
//
// The request is sent again unchanged, with the same string as the body, or with what its sender
// gives from offset 0. A sender without a length (chunked) cannot start over: once it may have been
// asked, the request is not sent again, and the report says EndReason::kNotRepeatable.
//
// The same holds once the request's receiver may have received a part of a response. Transport does
// not pass the bodies of 408, 425, 429 and of codes from 500 up, except 501, to the receiver; they
// are in the response. httplib::Client passes those too, and does not tell how much of a response
// arrived before the connection was lost.
//
// repeatable.h has the rules themselves, for other client libraries. Hedge asks them as well.

// A check for Retry that ignores the method: it sends every transient failure again, including a
// POST whose response was lost. This is the rule of hashicorp/go-retryablehttp, except that a body
// that cannot start over is still sent only once.
struct RetryAnyMethod {
  template <class R>
  RetryDecision operator()(const Call& call, const R& result) const {
    const absl::Status status = ResultTraits<R>::StatusOf(result);
    return internal::CheckFailure(call, status, holdfast::internal::EffectOf(call, status, result),
                                  /*any_method=*/true);
  }
};

namespace internal {

// The status code of a result that may have none; 0 then. For absl::StatusOr<T> and
// httplib::Result.
template <class R>
int CodeOf(const R& result) {
  using T = std::remove_cvref_t<decltype(*result)>;
  bool answered = false;
  if constexpr (requires { result.ok(); }) {
    answered = result.ok();
  } else {
    answered = bool(result);
  }
  return answered ? ResponseTraits<T>::StatusOf(*result) : 0;
}

}  // namespace internal

// A check for Retry with the default rules and, in addition, 408 and 425, which are successes
// otherwise. When the attempts are used up, the call returns the last response. Retry-After is
// honored, and a retry costs the budget what any other costs. Other policies still take the two for
// successes, and so does the report where one is not sent again (EndReason::kSuccess).
//
//   425   any method: the server did not process the request (RFC 8470, 5.2), and it is sent again
//         without early data, as Transport sends all
//   408   idempotent requests. The server says that it did not get the whole request (RFC 9110,
//         15.5.9). That does not tell that it did not act on what it got, and many servers say the
//         same when they took too long themselves
struct RetryRequestTimeout {
  template <class R>
  RetryDecision operator()(const Call& call, const R& result) const {
    const int code = internal::CodeOf(result);
    if (code != 408 && code != 425) return ResultTraits<R>::IsTransient(call, result);
    return internal::CheckEffect(call, ResultTraits<R>::EffectOf(call, result));
  }
};

}  // namespace holdfast::http

#endif  // HOLDFAST_HTTP_RETRY_H_
