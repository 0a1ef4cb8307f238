// What became of the calls through a stack, policy by policy.
#ifndef HOLDFAST_SRC_METRICS_HTTP_STACK_FLOW_H_
#define HOLDFAST_SRC_METRICS_HTTP_STACK_FLOW_H_

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "holdfast/metrics/metrics_snapshot.h"
#include "holdfast/metrics/stack_layout.h"

namespace holdfast::internal {

// Of a policy of the stack.
struct PolicyFlow {
  std::map<std::string, std::uint64_t> refused = {};  // by reason
  std::uint64_t answered = 0;  // without a call to what is below it, as a Cache does
  std::uint64_t again = 0;     // further calls to what is below it, as a Retry makes

  friend bool operator==(const PolicyFlow&, const PolicyFlow&) = default;
};

struct StackFlow {
  std::map<std::string, std::uint64_t> calls = {};     // that ended, by outcome
  std::map<std::string, std::uint64_t> attempts = {};  // likewise
  std::uint64_t no_time = 0;       // refused since they had no time left, by no policy
  std::uint64_t cut_off = 0;       // attempts and calls that did not end before their deadline
  std::uint64_t fell_back = 0;     // failures that were replaced
  HistogramCounts durations = {};  // of the calls, whatever became of them
  std::vector<PolicyFlow> policies = {};  // outermost first

  friend bool operator==(const StackFlow&, const StackFlow&) = default;
};

std::uint64_t SumOf(const std::map<std::string, std::uint64_t>& counts);

// Of each stack, in the order of `stacks`, since it is there. What a Retry and a Hedge send again
// the stack counts as one; it is put down to the first policy of that kind. Likewise what is found
// in a cache, which several stacks may share.
std::vector<StackFlow> FlowsOf(const MetricsSnapshot& snapshot,
                               std::span<const StackLayout> stacks);

// What came after `before`. If a count is less than before, the stack is another one of that name,
// and all of `now` is new.
StackFlow FlowSince(const StackFlow& now, const StackFlow& before);

// In seconds; NaN where nothing was counted. Values are taken to lie evenly, on a logarithmic
// scale, within their bucket, so it is at most a factor of 2^(1/4) off.
double QuantileOf(const HistogramCounts& counts, double quantile);

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_METRICS_HTTP_STACK_FLOW_H_
