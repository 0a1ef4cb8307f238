// Which failures of an HTTP request Retry sends again.
//
//   auto careful = holdfast::Stack(holdfast::Retry({})).Around(transport);
//   auto bold =
//       holdfast::Stack(holdfast::Retry({}, holdfast::http::RetryAnyMethod{})).Around(transport);
//   request.set_header("Idempotency-Key", "\"order-7\"");  // now a POST is safe to send again
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

// The rules. Where the first argument of the call is an httplib::Request, Retry by itself sends
// again
//
//   any method         after 429 and 503, by which the server says that it did not do it (RFC 6585,
//                      4; RFC 9110, 15.6.4), and what never reached it: TransportError::kConnect
//                      and kTls, and a policy's refusal
//   an idempotent one  after the other codes from 500 up but 501, and where nobody knows:
//   kOutcomeUnknown,
//                      and any transient status that says nothing of its kind
//   none               after the rest: other answers, certificates, malformed URLs and requests,
//                      redirects, cancellation, kPartialResponse
//
// Idempotent are GET, HEAD, OPTIONS, TRACE, PUT and DELETE (RFC 9110, 9.2.2), and every request
// with an Idempotency-Key, by which the server knows it again
// (draft-ietf-httpapi-idempotency-key-header); Holdfast invents none, since it means nothing to a
// server that does not look.
//
// Where it is anything else the method is not known, and whatever may pass is retried: what must
// not happen twice needs a check of its own there.
//
// A request is sent again as it is, with its string as the body or what its content provider gives
// when it is asked from offset 0 again. A provider without a length (chunked) can't start over:
// once anything may have been taken from it the request is not sent again, and the report says
// EndReason::kNotRepeatable.
//
// What a request's content_receiver was given can't be taken back: where it has or may have got a
// part of an answer, that is kNotRepeatable as well. Transport gives it no bodies of 429 and of
// codes from 500 up but 501: those are in the response. httplib::Client gives it those too, and
// does not say how far an answer came that was lost; nor does a status without a TransportError.
//
// The rules themselves are in repeatable.h, for other clients too, and Hedge asks them as well.

// A check for Retry that does not ask for the method: all that may pass is sent again, a POST whose
// answer was lost as well. It is the rule of hashicorp/go-retryablehttp, but for bodies that can't
// start over.
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
