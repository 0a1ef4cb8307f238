// refused: a stack around cpp-httplib's types needs holdfast/http/httplib.h: include it where the
// stack is made
#include "holdfast/http/result.h"

namespace httplib {
struct Response {};
}  // namespace httplib

namespace holdfast::http {

bool Call() {
#ifdef WRONG_ORDER
  const auto ask = [](const Request&) -> absl::StatusOr<httplib::Response> {
    return httplib::Response();
  };
#else
  const auto ask = [](const Request&) -> absl::StatusOr<Response> { return Response(); };
#endif
  return Stack(Retry({})).Around(ask)(Request()).ok();
}

}  // namespace holdfast::http
