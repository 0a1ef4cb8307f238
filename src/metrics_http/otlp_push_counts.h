// What an OtlpPush counts.
#ifndef HOLDFAST_SRC_METRICS_HTTP_OTLP_PUSH_COUNTS_H_
#define HOLDFAST_SRC_METRICS_HTTP_OTLP_PUSH_COUNTS_H_

#include <atomic>
#include <cstdint>
#include <string_view>

#include "holdfast/call/collector.h"
#include "holdfast/metrics_http/otlp_push_options.h"

namespace holdfast::internal {

// Thread-safe. Relaxed memory order suffices: each count is a value by itself.
class OtlpPushCounts {
 public:
  void Add(const OtlpPushResult& result);

  void Collect(Collector& collector) const;
  std::string_view name() const { return {}; }

 private:
  std::atomic<std::uint64_t> successes_{0};
  std::atomic<std::uint64_t> partial_{0};
  std::atomic<std::uint64_t> failures_{0};
  std::atomic<std::uint64_t> cancelled_{0};
  std::atomic<std::uint64_t> rejected_points_{0};
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_METRICS_HTTP_OTLP_PUSH_COUNTS_H_
