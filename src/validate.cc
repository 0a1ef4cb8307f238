#include "holdfast/internal/validate.h"

#include <stdexcept>
#include <string>

namespace holdfast::internal {

void ThrowIfInvalid(const absl::Status& status) {
  if (!status.ok()) throw std::invalid_argument(std::string(status.message()));
}

}  // namespace holdfast::internal
