#include "holdfast/timeout.h"

namespace holdfast::internal {

Duration ValidTimeout(Duration limit) {
  if (limit <= Duration::zero()) {
    ThrowIfInvalid(absl::InvalidArgumentError("Timeout: limit must be > 0"));
  }
  return limit;
}

}  // namespace holdfast::internal
