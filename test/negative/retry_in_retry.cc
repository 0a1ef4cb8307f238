// refused: Retry inside of Retry: their attempts multiply; keep one of them, or say that it is
// meant with NestedRetry (nested_retry.h) for the inner one
#include "holdfast/retry/nested_retry.h"
#include "holdfast/stack/stack.h"
#include "holdfast/timeout/timeout.h"

// Stacks in a stack are one.
auto Make() {
  const holdfast::Timeout timeout(std::chrono::seconds(1));
#ifdef WRONG_ORDER
  const holdfast::Stack client(timeout, holdfast::Retry({}));
#else
  const holdfast::Stack client(timeout, holdfast::NestedRetry({}));
#endif
  return holdfast::Stack(holdfast::Stack(holdfast::Retry({}), timeout), client);
}
