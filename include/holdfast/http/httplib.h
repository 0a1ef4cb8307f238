// The types of cpp-httplib with Holdfast: Transport and StandardClient send an httplib::Request and
// return an httplib::Response, and a stack can wrap any call that returns httplib::Result.
//
//   httplib::Request order;
//   order.method = "GET";
//   order.path = "/orders/7";
//   absl::StatusOr<httplib::Response> response = transport(order);
//
//   httplib::Client client("http://localhost:8080");
//   auto fetch = holdfast::Stack(holdfast::Retry({.max_attempts = 4}))
//                    .Around([&](const std::string& path) { return client.Get(path); });
//   httplib::Result result = fetch("/orders/7");
//
// Only this header of Holdfast includes <httplib.h>. httplib_client.h includes this one, and
// holdfast/http.h includes neither. Include it wherever a stack is put around something
// that takes an httplib::Request or returns an httplib::Result or an
// absl::StatusOr<httplib::Response>: with holdfast/http.h alone that does not compile.
#ifndef HOLDFAST_HTTP_HTTPLIB_H_
#define HOLDFAST_HTTP_HTTPLIB_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <httplib.h>

#include <optional>
#include <string_view>
#include <vector>

#include "holdfast/base/result.h"
#include "holdfast/base/time.h"
#include "holdfast/call/call.h"
#include "holdfast/call/internal/rerun.h"
#include "holdfast/call/repeatability.h"
#include "holdfast/call/retry_decision.h"
#include "holdfast/http/message.h"
#include "holdfast/http/multipart.h"
#include "holdfast/http/repeatable.h"
#include "holdfast/http/result.h"
#include "holdfast/http/transport_error.h"

namespace holdfast {
namespace http {

template <>
struct MessageTraits<httplib::Request> {
  using Response = httplib::Response;

  // The result uses `request`, whose callbacks and, if it has more than 64 KiB, whose body are not
  // copied, and must not outlive it. Such a body becomes a sender with a length.
  //
  // A content provider gets a sink that holds what one call of it writes, and is called again when
  // that is sent. From 1 MiB on is_writable() of the sink is false. Once it holds 64 MiB, write()
  // returns false, and the request is cancelled. A provider that writes nothing is called again
  // after a pause (BodyAnswer::Later).
  //
  // kInvalidArgument for a request with params or a form, which only servers read.
  static absl::StatusOr<http::Request> ToRequest(const httplib::Request& request);

  // Trailers are left out where the release of cpp-httplib has no place for them.
  static httplib::Response FromResponse(http::Response&& response);
};

// The same as in result.h.
template <>
struct ResponseTraits<httplib::Response> {
  static int StatusOf(const httplib::Response& response) { return response.status; }
  static std::string_view ReasonOf(const httplib::Response& response) { return response.reason; }
  static std::string_view RetryAfterOf(const httplib::Response& response) {
    const auto header = response.headers.find("Retry-After");
    return header == response.headers.end() ? std::string_view() : header->second;
  }
};

// SetMultipart of multipart.h for a request of cpp-httplib.
absl::Status SetMultipart(httplib::Request& request, const std::vector<FormItem>& items);

// The same for a range of any type with the four members of FormItem, as
// httplib::MultipartFormDataItems (cpp-httplib up to 0.22) or httplib::UploadFormDataItems is.
template <class Items>
absl::Status SetMultipart(httplib::Request& request, const Items& items) {
  return SetMultipart(request, internal::FormItemsOf(items));
}

namespace internal {

// The view in it refers to `request`.
RequestFacts FactsOf(const httplib::Request& request);

// For a result that has no response.
absl::Status StatusOfEmpty(const httplib::Result& result);
httplib::Result EmptyResult(const absl::Status& status);

}  // namespace internal
}  // namespace http

// Whether a request may be sent again, and twice at once.
template <>
struct RequestTraits<httplib::Request> {
  static Repeatability RepeatabilityOf(const httplib::Request& request) {
    return http::RepeatabilityOf(http::internal::FactsOf(request));
  }
};

// For what httplib::Client returns. A policy's rejection is a result without a response, with the
// nearest httplib::Error (Canceled, ConnectionTimeout or Connection), and an error of Transport one
// with that of its TransportError; StatusOf still returns the whole status, text and payload
// included. cpp-httplib does not distinguish a read timeout
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

#endif  // HOLDFAST_HTTP_HTTPLIB_H_
