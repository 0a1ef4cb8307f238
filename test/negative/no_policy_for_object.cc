// refused: Stack has no policy for this std::shared_ptr: include the header of the policy
// (circuit_break.h for a CircuitBreaker, rate_limit.h for a TokenBucket, bulkhead.h for a
// Semaphore, ...), or specialize holdfast::PolicyOf for an object of yours
#include <memory>

#include "holdfast/breaker/circuit_break.h"
#include "holdfast/stack/stack.h"

struct Mine {};
#ifdef WRONG_ORDER
using Object = Mine;
#else
using Object = holdfast::CircuitBreaker;
#endif

auto Make(std::shared_ptr<Object> object) { return holdfast::Stack(std::move(object)); }
