// What the page of a server of metrics is told.
#ifndef HOLDFAST_SRC_METRICS_HTTP_SNAPSHOT_JSON_H_
#define HOLDFAST_SRC_METRICS_HTTP_SNAPSHOT_JSON_H_

#include <span>
#include <string>
#include <string_view>

#include "holdfast/base/time.h"
#include "holdfast/metrics/metrics_snapshot.h"
#include "holdfast/metrics/recent_events.h"
#include "holdfast/metrics/stack_layout.h"
#include "src/metrics_http/flow_history.h"
#include "src/metrics_http/stack_flow.h"

namespace holdfast::internal {

struct SnapshotSource {
  const MetricsSnapshot& snapshot;
  std::span<const StackLayout> stacks;
  std::span<const StackFlow> flows;  // of these
  const FlowHistory* history;        // null: none is kept
  const RecentEvents* events;        // null: none are kept
  std::string_view service_name;
  Duration refresh;
};

// JSON in one line; docs/dashboard.md describes it. Times are milliseconds since 1970, durations
// are seconds. A number that is not finite is a string, as in OTLP's JSON: "Infinity".
std::string SnapshotJson(const SnapshotSource& source);

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_METRICS_HTTP_SNAPSHOT_JSON_H_
