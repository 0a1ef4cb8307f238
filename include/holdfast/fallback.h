// A substitute for a result that failed.
#ifndef HOLDFAST_FALLBACK_H_
#define HOLDFAST_FALLBACK_H_

#include "holdfast/fallback/fallback.h"  // IWYU pragma: export

#endif  // HOLDFAST_FALLBACK_H_
