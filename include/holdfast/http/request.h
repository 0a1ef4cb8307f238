// RequestTraits of http::Request: whether a request may be sent again, and twice at once.
//
//   const holdfast::http::Request patch = {.method = "PATCH", .target = "/orders/7"};
//   assert(!holdfast::RequestTraits<holdfast::http::Request>::RepeatabilityOf(patch).idempotent);
#ifndef HOLDFAST_HTTP_REQUEST_H_
#define HOLDFAST_HTTP_REQUEST_H_

#include "holdfast/call/repeatability.h"
#include "holdfast/http/message.h"
#include "holdfast/http/repeatable.h"

namespace holdfast {
namespace http::internal {

// The view in it refers to `request`.
RequestFacts FactsOf(const Request& request);

}  // namespace http::internal

template <>
struct RequestTraits<http::Request> {
  static Repeatability RepeatabilityOf(const http::Request& request) {
    return http::RepeatabilityOf(http::internal::FactsOf(request));
  }
};

}  // namespace holdfast

#endif  // HOLDFAST_HTTP_REQUEST_H_
