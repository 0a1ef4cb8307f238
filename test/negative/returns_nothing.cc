// refused: the executor returns nothing: put it in holdfast::Catching (catching.h), to which what
// does not throw is a success
#include "holdfast/retry/retry.h"
#include "holdfast/stack/catching.h"
#include "holdfast/stack/stack.h"

inline void Ping() {}

void Call() {
#ifdef WRONG_ORDER
  holdfast::Stack(holdfast::Retry({})).Around(Ping)();
#else
  holdfast::Stack(holdfast::Retry({})).Around(holdfast::Catching(Ping))();
#endif
}
