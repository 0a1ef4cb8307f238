// A cache of results, with one call for each key at a time.
#ifndef HOLDFAST_CACHE_H_
#define HOLDFAST_CACHE_H_

#include "holdfast/cache/cache.h"         // IWYU pragma: export
#include "holdfast/cache/result_cache.h"  // IWYU pragma: export

#endif  // HOLDFAST_CACHE_H_
