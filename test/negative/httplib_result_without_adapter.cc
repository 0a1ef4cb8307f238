// refused: a stack around cpp-httplib's types needs holdfast/http/httplib.h: include it where the
// stack is made
#include "holdfast/http/result.h"

namespace httplib {
class Result {};
}  // namespace httplib

namespace holdfast::http {

void Call() {
#ifdef WRONG_ORDER
  const auto ask = [](const Request&) { return httplib::Result(); };
#else
  const auto ask = [](const Request&) { return absl::OkStatus(); };
#endif
  (void)Stack(Retry({})).Around(ask)(Request());
}

}  // namespace holdfast::http
