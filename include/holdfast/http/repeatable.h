// Which HTTP requests may be sent more than once. The rules are independent of the client library.
//
//   constexpr holdfast::http::RequestFacts order = {.method = "POST", .has_idempotency_key = true};
//   static_assert(holdfast::MayRunAtOnce(holdfast::http::RepeatabilityOf(order)));
#ifndef HOLDFAST_HTTP_REPEATABLE_H_
#define HOLDFAST_HTTP_REPEATABLE_H_

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "holdfast/call/repeatability.h"
#include "holdfast/http/transport_error.h"

namespace holdfast::http {

// Where the body of a request comes from, if it has one.
enum class BodySource : signed char {
  kBytes,     // the request holds the body
  kProvider,  // a callback that can start over: from offset 0 it returns the same bytes again
  kStream,    // a callback that cannot start over
};

// What the rules need to know about a request. The adapter of a client library fills it in.
struct RequestFacts {
  std::string_view method;           // methods are case-sensitive
  bool has_idempotency_key = false;  // the header Idempotency-Key is present and not empty
  BodySource body = BodySource::kBytes;
  bool hands_on = false;    // a callback receives the response's body in pieces
  bool calls_back = false;  // there is another callback: for headers or progress
};

// Whether the method is idempotent: the effect of two identical requests is that of one (RFC 9110,
// 9.2.2).
constexpr bool IsIdempotent(std::string_view method) {
  constexpr std::array<std::string_view, 6> kIdempotent = {"GET",   "HEAD", "OPTIONS",
                                                           "TRACE", "PUT",  "DELETE"};
  return std::find(kIdempotent.begin(), kIdempotent.end(), method) != kIdempotent.end();
}

// Whether and how the request may be sent again. A request of any method with an Idempotency-Key is
// idempotent, because the server recognizes it (draft-ietf-httpapi-idempotency-key-header). A
// request with callbacks is not sent twice at once: two threads could call the same callback, and a
// receiver would get pieces of two responses.
constexpr Repeatability RepeatabilityOf(const RequestFacts& request) {
  Reuse reuse = Reuse::kAtOnce;
  if (request.body == BodySource::kProvider || request.calls_back) reuse = Reuse::kInTurn;
  if (request.hands_on) reuse = Reuse::kUntilAnswered;
  if (request.body == BodySource::kStream) reuse = Reuse::kOnce;
  return {.idempotent = IsIdempotent(request.method) || request.has_idempotency_key,
          .reuse = reuse};
}

// What a request that got a response with this status code can have done. With 425, 429 and 503 the
// server says that it did not act on the request (RFC 8470, 5.2; RFC 6585, 4; RFC 9110, 15.6.4).
// `handed_on`: a callback may have received a part of the response.
constexpr Effect EffectOf(int code, bool handed_on) {
  if (handed_on) return Effect::kHandedOn;
  return code == 425 || code == 429 || code == 503 ? Effect::kRefused : Effect::kUnanswered;
}

// The same for a request that got no complete response. nullopt: it is unknown how far it came.
constexpr Effect EffectOf(std::optional<TransportError> kind) {
  if (!kind) return Effect::kUnknown;
  switch (*kind) {
    case TransportError::kConnect:
    case TransportError::kTls:
    case TransportError::kCertificate:
    case TransportError::kRequest:
      return Effect::kNone;
    case TransportError::kOutcomeUnknown:
      return Effect::kUnanswered;
    case TransportError::kPartialResponse:
      return Effect::kHandedOn;
    case TransportError::kRedirect:
    case TransportError::kMalformed:
      break;
  }
  return Effect::kUnknown;
}

// Whether the response may only mean that another copy of the same request is being processed or
// was first: 409 (as the draft of Idempotency-Key asks for) or 412, a precondition that no longer
// holds. The response to the other copy is then the result.
constexpr bool IsConflict(int code) { return code == 409 || code == 412; }

}  // namespace holdfast::http

#endif  // HOLDFAST_HTTP_REPEATABLE_H_
