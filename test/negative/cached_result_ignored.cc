// refused: ignoring return value of
#include "holdfast/cache/result_cache.h"

#pragma GCC diagnostic error "-Wunused-result"

void Look(holdfast::ResultCache<int>& cache) {
#ifdef WRONG_ORDER
  cache.Get("key");
#else
  (void)cache.Get("key");
#endif
}
