// refused: a part of a Stack is a policy (State, Before, After), a std::shared_ptr to a policy
// object, or a Stack
#include "holdfast/stack/stack.h"
#include "holdfast/timeout/timeout.h"

#ifdef WRONG_ORDER
auto Make() { return holdfast::Stack(std::chrono::seconds(1)); }
#else
auto Make() { return holdfast::Stack(holdfast::Timeout(std::chrono::seconds(1))); }
#endif
