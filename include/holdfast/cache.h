// Cache, which returns cached results, and ResultCache, which keeps them.
#ifndef HOLDFAST_CACHE_H_
#define HOLDFAST_CACHE_H_

#include "holdfast/cache/cache.h"         // IWYU pragma: export
#include "holdfast/cache/result_cache.h"  // IWYU pragma: export

#endif  // HOLDFAST_CACHE_H_
