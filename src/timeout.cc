#include "holdfast/timeout.h"

#include "holdfast/internal/validate.h"

namespace holdfast {

Timeout::Timeout(Duration limit) : limit_(limit) {
  if (limit <= Duration::zero()) {
    internal::ThrowIfInvalid(absl::InvalidArgumentError("Timeout: limit must be > 0"));
  }
}

}  // namespace holdfast
