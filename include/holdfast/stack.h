// Stack, which puts policies around an executor, and what goes with it.
#ifndef HOLDFAST_STACK_H_
#define HOLDFAST_STACK_H_

#include "holdfast/stack/any_executor.h"  // IWYU pragma: export
#include "holdfast/stack/catching.h"      // IWYU pragma: export
#include "holdfast/stack/stack.h"         // IWYU pragma: export
#include "holdfast/stack/update_all.h"    // IWYU pragma: export

#endif  // HOLDFAST_STACK_H_
