// Hedge: a second copy of a slow call.
#ifndef HOLDFAST_HEDGE_H_
#define HOLDFAST_HEDGE_H_

#include "holdfast/hedge/hedge.h"  // IWYU pragma: export

#endif  // HOLDFAST_HEDGE_H_
