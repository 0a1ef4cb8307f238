// All headers of holdfast::metrics: a registry of what stacks and policy objects count, for
// Prometheus, for OpenTelemetry and for tests.
#ifndef HOLDFAST_METRICS_H_
#define HOLDFAST_METRICS_H_

#include "holdfast/metrics/metrics.h"           // IWYU pragma: export
#include "holdfast/metrics/metrics_snapshot.h"  // IWYU pragma: export
#include "holdfast/metrics/recent_events.h"     // IWYU pragma: export
#include "holdfast/metrics/stack_layout.h"      // IWYU pragma: export

#endif  // HOLDFAST_METRICS_H_
