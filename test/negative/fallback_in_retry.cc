// refused: Fallback inside of Retry: to Retry its answer is a success, and nothing is tried again;
// put Fallback outside of Retry
#include "holdfast/fallback.h"
#include "holdfast/retry.h"
#include "holdfast/stack.h"

auto Make() {
  const holdfast::Fallback fallback([](const absl::Status&) { return absl::OkStatus(); });
#ifdef WRONG_ORDER
  return holdfast::Stack(holdfast::Retry({}), fallback);
#else
  return holdfast::Stack(fallback, holdfast::Retry({}));
#endif
}
