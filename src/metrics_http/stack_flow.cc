#include "src/metrics_http/stack_flow.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <initializer_list>
#include <limits>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>

namespace holdfast::internal {
namespace {

// A series with its attributes at hand.
class SeriesView {
 public:
  SeriesView(const MetricFamily& family, const MetricSeries& series)
      : family_(family), series_(series) {}

  // Empty where there is no such attribute.
  std::string_view operator[](std::string_view key) const {
    for (std::size_t i = 0; i < family_.keys.size(); ++i) {
      if (family_.keys[i] == key) return series_.values[i];
    }
    return {};
  }
  std::uint64_t count() const {
    const auto* const count = std::get_if<std::uint64_t>(&series_.value);
    return count == nullptr ? 0 : *count;
  }
  const HistogramCounts* histogram() const { return std::get_if<HistogramCounts>(&series_.value); }

 private:
  const MetricFamily& family_;
  const MetricSeries& series_;
};

// Puts the series of one snapshot down to the stacks.
class FlowReader {
 public:
  FlowReader(const MetricsSnapshot& snapshot, std::span<const StackLayout> stacks)
      : snapshot_(snapshot), stacks_(stacks), flows_(stacks.size()) {
    for (std::size_t i = 0; i < stacks.size(); ++i) {
      by_name_.emplace(stacks[i].name, i);
      flows_[i].policies.resize(stacks[i].policies.size());
    }
  }

  std::vector<StackFlow> Read() && {
    Each("holdfast.calls", [](StackFlow& flow, const StackLayout&, const SeriesView& series) {
      flow.calls[std::string(series["holdfast.outcome"])] += series.count();
    });
    Each("holdfast.attempts", [](StackFlow& flow, const StackLayout&, const SeriesView& series) {
      flow.attempts[std::string(series["holdfast.outcome"])] += series.count();
    });
    Each("holdfast.timeouts", [](StackFlow& flow, const StackLayout&, const SeriesView& series) {
      flow.cut_off += series.count();
    });
    Each("holdfast.fallbacks", [](StackFlow& flow, const StackLayout&, const SeriesView& series) {
      flow.fell_back += series.count();
    });
    Each("holdfast.call.duration",
         [](StackFlow& flow, const StackLayout&, const SeriesView& series) {
           if (series.histogram() != nullptr) AddTo(flow.durations, *series.histogram());
         });
    Each("holdfast.retries",
         [](StackFlow& flow, const StackLayout& stack, const SeriesView& series) {
           if (auto* const policy = FirstOf(flow, stack, {"Retry", "NestedRetry"})) {
             policy->again += series.count();
           }
         });
    Each("holdfast.hedges",
         [](StackFlow& flow, const StackLayout& stack, const SeriesView& series) {
           if (series["holdfast.outcome"] == "unaffordable") return;
           if (auto* const policy = FirstOf(flow, stack, {"Hedge"}))
             policy->again += series.count();
         });
    Each("holdfast.refusals", &FlowReader::TakeRefusals);
    TakeCaches();
    return std::move(flows_);
  }

 private:
  template <class Take>
  void Each(std::string_view metric, const Take& take) {
    const MetricFamily* const family = snapshot_.Family(metric);
    if (family == nullptr) return;
    for (const MetricSeries& one : family->series) {
      const SeriesView series(*family, one);
      const auto stack = by_name_.find(series["holdfast.stack"]);
      if (stack != by_name_.end()) take(flows_[stack->second], stacks_[stack->second], series);
    }
  }

  static PolicyFlow* FirstOf(StackFlow& flow, const StackLayout& stack,
                             std::initializer_list<std::string_view> kinds) {
    const auto found = std::ranges::find_if(stack.policies, [kinds](const PolicyLayout& policy) {
      return std::ranges::find(kinds, policy.policy) != kinds.end();
    });
    if (found == stack.policies.end()) return nullptr;
    return &flow.policies[static_cast<std::size_t>(found - stack.policies.begin())];
  }

  static void TakeRefusals(StackFlow& flow, const StackLayout& stack, const SeriesView& series) {
    const auto found = std::ranges::find_if(stack.policies, [&series](const PolicyLayout& policy) {
      return policy.policy == series["holdfast.policy"] && policy.name == series["holdfast.name"];
    });
    if (found == stack.policies.end()) {
      flow.no_time += series.count();
      return;
    }
    PolicyFlow& policy = flow.policies[static_cast<std::size_t>(found - stack.policies.begin())];
    policy.refused[std::string(series["holdfast.reason"])] += series.count();
  }

  void TakeCaches() {
    const MetricFamily* const family = snapshot_.Family("holdfast.cache.lookups");
    if (family == nullptr) return;
    for (const MetricSeries& one : family->series) {
      const SeriesView series(*family, one);
      if (series["holdfast.result"] == "miss") continue;
      for (std::size_t i = 0; i < stacks_.size(); ++i) {
        const auto& policies = stacks_[i].policies;
        for (std::size_t p = 0; p < policies.size(); ++p) {
          if (!Uses(policies[p], series["holdfast.name"])) continue;
          flows_[i].policies[p].answered += series.count();
        }
      }
    }
  }

  static bool Uses(const PolicyLayout& policy, std::string_view cache) {
    return policy.policy == "Cache" &&
           std::ranges::find(policy.objects, cache, &ObjectLayout::name) != policy.objects.end();
  }

  static void AddTo(HistogramCounts& sum, const HistogramCounts& counts) {
    if (counts.counts.empty()) return;
    if (sum.counts.empty()) {
      sum = counts;
      return;
    }
    if (counts.offset < sum.offset) {
      sum.counts.insert(sum.counts.begin(), static_cast<std::size_t>(sum.offset - counts.offset),
                        0);
      sum.offset = counts.offset;
    }
    const auto shift = static_cast<std::size_t>(counts.offset - sum.offset);
    sum.counts.resize(std::max(sum.counts.size(), shift + counts.counts.size()));
    for (std::size_t i = 0; i < counts.counts.size(); ++i)
      sum.counts[shift + i] += counts.counts[i];
    sum.sum += counts.sum;
  }

  const MetricsSnapshot& snapshot_;
  const std::span<const StackLayout> stacks_;
  std::vector<StackFlow> flows_;
  std::unordered_map<std::string_view, std::size_t> by_name_;
};

// False where a count has become less.
bool Subtract(std::uint64_t& now, std::uint64_t before) {
  if (now < before) return false;
  now -= before;
  return true;
}

bool Subtract(std::map<std::string, std::uint64_t>& now,
              const std::map<std::string, std::uint64_t>& before) {
  return std::ranges::all_of(
      before, [&now](const auto& each) { return Subtract(now[each.first], each.second); });
}

bool Subtract(HistogramCounts& now, const HistogramCounts& before) {
  if (before.counts.empty()) return true;
  const int shift = before.offset - now.offset;
  if (shift < 0 || static_cast<std::size_t>(shift) + before.counts.size() > now.counts.size()) {
    return false;
  }
  for (std::size_t i = 0; i < before.counts.size(); ++i) {
    if (!Subtract(now.counts[static_cast<std::size_t>(shift) + i], before.counts[i])) return false;
  }
  now.sum -= before.sum;
  return true;
}

bool Subtract(StackFlow& now, const StackFlow& before) {
  if (now.policies.size() != before.policies.size()) return false;
  for (std::size_t i = 0; i < now.policies.size(); ++i) {
    PolicyFlow& policy = now.policies[i];
    const PolicyFlow& earlier = before.policies[i];
    if (!Subtract(policy.refused, earlier.refused) || !Subtract(policy.again, earlier.again)) {
      return false;
    }
    // Of a cache that is shared, and so may have been there before.
    policy.answered -= std::min(policy.answered, earlier.answered);
  }
  return Subtract(now.calls, before.calls) && Subtract(now.attempts, before.attempts) &&
         Subtract(now.no_time, before.no_time) && Subtract(now.cut_off, before.cut_off) &&
         Subtract(now.fell_back, before.fell_back) && Subtract(now.durations, before.durations);
}

}  // namespace

std::uint64_t SumOf(const std::map<std::string, std::uint64_t>& counts) {
  std::uint64_t sum = 0;
  for (const auto& [name, count] : counts) sum += count;
  return sum;
}

std::vector<StackFlow> FlowsOf(const MetricsSnapshot& snapshot,
                               std::span<const StackLayout> stacks) {
  return FlowReader(snapshot, stacks).Read();
}

StackFlow FlowSince(const StackFlow& now, const StackFlow& before) {
  StackFlow since = now;
  return Subtract(since, before) ? since : now;
}

double QuantileOf(const HistogramCounts& counts, double quantile) {
  std::uint64_t total = 0;
  for (const std::uint64_t count : counts.counts) total += count;
  if (total == 0) return std::numeric_limits<double>::quiet_NaN();
  const double rank = quantile * static_cast<double>(total);
  double below = 0;
  std::size_t bucket = 0;
  for (; bucket + 1 < counts.counts.size(); ++bucket) {
    const auto count = static_cast<double>(counts.counts[bucket]);
    if (count > 0 && below + count >= rank) break;
    below += count;
  }
  const auto count = static_cast<double>(counts.counts[bucket]);
  const double part = count > 0 ? std::clamp((rank - below) / count, 0.0, 1.0) : 1.0;
  const double exponent = static_cast<double>(counts.offset) + static_cast<double>(bucket) + part;
  return std::exp2(exponent / 4);  // HistogramCounts::kScale is 2
}

}  // namespace holdfast::internal
