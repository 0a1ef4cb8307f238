// Which failed HTTP requests Retry sends again.
//
//   auto careful = holdfast::Stack(holdfast::Retry({})).Around(transport);
//   auto bold =
//       holdfast::Stack(holdfast::Retry({}, holdfast::http::RetryAnyMethod{})).Around(transport);
//   request.headers.Set("Idempotency-Key", "\"order-7\"");  // now a POST is safe to send again
//   careful(request);
#ifndef HOLDFAST_HTTP_RETRY_H_
#define HOLDFAST_HTTP_RETRY_H_

#include <absl/status/status.h>

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
//                        never reached the server; and a rejection by a policy
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

}  // namespace holdfast::http

#endif  // HOLDFAST_HTTP_RETRY_H_
