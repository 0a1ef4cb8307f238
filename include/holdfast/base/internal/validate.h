// Turns what Validate says into what a constructor throws.
#ifndef HOLDFAST_BASE_INTERNAL_VALIDATE_H_
#define HOLDFAST_BASE_INTERNAL_VALIDATE_H_

#include <absl/status/status.h>

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

namespace holdfast::internal {

// Throws std::invalid_argument with the text of a status that is not OK.
void ThrowIfInvalid(const absl::Status& status);

// Throws std::invalid_argument for a number of tokens below zero.
void ThrowIfNegative(std::int64_t tokens);

// The options, once they are known to be valid.
template <class Options>
Options Validated(Options options) {
  ThrowIfInvalid(Validate(options));
  return options;
}

// Throws std::invalid_argument that says that `what` is null.
[[noreturn]] void ThrowNull(std::string_view what);

// The object that a policy was given. `what` names both, as in "Bulkhead: the Semaphore".
template <class T>
std::shared_ptr<T> NotNull(std::shared_ptr<T> object, std::string_view what) {
  if (object == nullptr) ThrowNull(what);
  return object;
}

}  // namespace holdfast::internal

#endif  // HOLDFAST_BASE_INTERNAL_VALIDATE_H_
