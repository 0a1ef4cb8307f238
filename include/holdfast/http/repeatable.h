// Which HTTP requests may be made more than once, for any client: nothing here knows one.
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
  kBytes,     // they are in the request
  kProvider,  // a callback, which can start over: asked from offset 0 again, it gives the same
  kStream,    // what can't: what it gave is gone
};

// What must be known of a request. An adapter of a client library fills it in.
struct RequestFacts {
  std::string_view method;           // methods are case-sensitive
  bool has_idempotency_key = false;  // a header Idempotency-Key that is not empty
  BodySource body = BodySource::kBytes;
  bool hands_on = false;    // a callback gets the answer's body as it comes
  bool calls_back = false;  // there is another callback: of headers, of progress
};

// Whether a server that gets it twice does what it does once, by RFC 9110, 9.2.2.
constexpr bool IsIdempotent(std::string_view method) {
  constexpr std::array<std::string_view, 6> kIdempotent = {"GET",   "HEAD", "OPTIONS",
                                                           "TRACE", "PUT",  "DELETE"};
  return std::find(kIdempotent.begin(), kIdempotent.end(), method) != kIdempotent.end();
}

// By an Idempotency-Key the server knows a request again, whatever its method
// (draft-ietf-httpapi-idempotency-key-header). Two runs at once would call the same callbacks, from
// two threads maybe, and give a receiver the pieces of two answers.
constexpr Repeatability RepeatabilityOf(const RequestFacts& request) {
  Reuse reuse = Reuse::kAtOnce;
  if (request.body == BodySource::kProvider || request.calls_back) reuse = Reuse::kInTurn;
  if (request.hands_on) reuse = Reuse::kUntilAnswered;
  if (request.body == BodySource::kStream) reuse = Reuse::kOnce;
  return {.idempotent = IsIdempotent(request.method) || request.has_idempotency_key,
          .reuse = reuse};
}

// What a request that was answered by this code can have done. By 429 and 503 the server says that
// it did not act (RFC 6585, 4; RFC 9110, 15.6.4). `handed_on`: a callback may have got a part of
// the answer.
constexpr Effect EffectOf(int code, bool handed_on) {
  if (handed_on) return Effect::kHandedOn;
  return code == 429 || code == 503 ? Effect::kRefused : Effect::kUnanswered;
}

// The same of one that got no answer, or not all of it; nullopt: nobody knows how far it came.
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
      break;
  }
  return Effect::kUnknown;
}

// Whether an answer may only say that another run of the same request is under way or was first: a
// conflict, which the draft of Idempotency-Key asks for, or a precondition that no longer holds.
// The other run's answer is then the one that counts.
constexpr bool IsConflict(int code) { return code == 409 || code == 412; }

}  // namespace holdfast::http

#endif  // HOLDFAST_HTTP_REPEATABLE_H_
