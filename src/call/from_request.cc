#include "holdfast/call/from_request.h"

#include <absl/status/status.h>

#include <exception>

#include "holdfast/base/internal/validate.h"

namespace holdfast {

void internal::ThrowNoRequest() {
  ThrowIfInvalid(absl::InvalidArgumentError(
      "FromRequest: the first argument of the call is of another type, or there is none"));
  std::terminate();
}

}  // namespace holdfast
