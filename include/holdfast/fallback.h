// Fallback, which returns a substitute for a failed result.
#ifndef HOLDFAST_FALLBACK_H_
#define HOLDFAST_FALLBACK_H_

#include "holdfast/fallback/fallback.h"  // IWYU pragma: export

#endif  // HOLDFAST_FALLBACK_H_
