#include "holdfast/base/internal/validate.h"

#include <stdexcept>
#include <string>
#include <string_view>

namespace holdfast::internal {

void ThrowIfInvalid(const absl::Status& status) {
  if (!status.ok()) throw std::invalid_argument(std::string(status.message()));
}

void ThrowIfNegative(std::int64_t tokens) {
  if (tokens < 0) throw std::invalid_argument("a number of tokens must be >= 0");
}

void ThrowNull(std::string_view what) {
  throw std::invalid_argument(std::string(what) + " is null");
}

}  // namespace holdfast::internal
