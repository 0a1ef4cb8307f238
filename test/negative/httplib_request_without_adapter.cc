// refused: a stack around cpp-httplib's types needs holdfast/http/httplib.h: include it where the
// stack is made
#include "holdfast/http/result.h"

namespace httplib {
struct Request {};
}  // namespace httplib

namespace holdfast::http {

absl::StatusOr<Response> Call() {
  const auto fetch = Stack(Retry({})).Around(
      [](const auto&) { return absl::StatusOr<Response>(Response{.status = 200}); });
#ifdef WRONG_ORDER
  return fetch(httplib::Request());
#else
  return fetch(Request());
#endif
}

}  // namespace holdfast::http
