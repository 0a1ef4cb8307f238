// refused: specialize holdfast::ResultTraits for what the executor returns (result.h), or put the
// executor in holdfast::Catching (catching.h), to which what does not throw is a success
#include "holdfast/retry/retry.h"
#include "holdfast/stack/catching.h"
#include "holdfast/stack/stack.h"

inline int Count() { return 1; }

int Call() {
#ifdef WRONG_ORDER
  return holdfast::Stack(holdfast::Retry({})).Around(Count)();
#else
  return holdfast::Stack(holdfast::Retry({})).Around(holdfast::Catching(Count))();
#endif
}
