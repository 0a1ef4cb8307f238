// What a registry of metrics is told of a ThreadPool, which itself knows of no Collector.
#ifndef HOLDFAST_CALL_INTERNAL_COLLECT_POOL_H_
#define HOLDFAST_CALL_INTERNAL_COLLECT_POOL_H_

#include "holdfast/base/thread_pool.h"
#include "holdfast/call/collector.h"

namespace holdfast::internal {

void CollectPool(const ThreadPool& pool, Collector& collector);

}  // namespace holdfast::internal

#endif  // HOLDFAST_CALL_INTERNAL_COLLECT_POOL_H_
