// refused: Hedge: the second argument must be HedgeAll(), or a function that takes a const Call&
// and returns a bool
#include "holdfast/hedge/hedge.h"

auto Make() {
#ifdef WRONG_ORDER
  return holdfast::Hedge({}, [] { return true; });
#else
  return holdfast::Hedge({}, [](const holdfast::Call&) { return true; });
#endif
}
