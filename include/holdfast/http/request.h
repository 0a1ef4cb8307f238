// RequestTraits of httplib::Request: whether a request may be sent again, and twice at once.
//
//   request.method = "PATCH";
//   assert(!holdfast::RequestTraits<httplib::Request>::RepeatabilityOf(request).idempotent);
#ifndef HOLDFAST_HTTP_REQUEST_H_
#define HOLDFAST_HTTP_REQUEST_H_

#include <httplib.h>

#include "holdfast/call/repeatability.h"
#include "holdfast/http/repeatable.h"

namespace holdfast {
namespace http::internal {

// The views in it refer to `request`.
RequestFacts InfoOf(const httplib::Request& request);

}  // namespace http::internal

template <>
struct RequestTraits<httplib::Request> {
  static Repeatability RepeatabilityOf(const httplib::Request& request) {
    return http::RepeatabilityOf(http::internal::InfoOf(request));
  }
};

}  // namespace holdfast

#endif  // HOLDFAST_HTTP_REQUEST_H_
