#include "holdfast/base/internal/validate.h"

#include <stdexcept>
#include <string>

namespace holdfast::internal {

void ThrowIfInvalid(const absl::Status& status) {
  if (!status.ok()) throw std::invalid_argument(std::string(status.message()));
}

void ThrowIfNegative(std::int64_t tokens) {
  if (tokens < 0) throw std::invalid_argument("a number of tokens must be >= 0");
}

}  // namespace holdfast::internal
