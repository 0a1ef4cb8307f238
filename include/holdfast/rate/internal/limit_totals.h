// What the objects of this family count for as long as they live.
#ifndef HOLDFAST_RATE_INTERNAL_LIMIT_TOTALS_H_
#define HOLDFAST_RATE_INTERNAL_LIMIT_TOTALS_H_

#include <absl/status/status.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "holdfast/base/internal/refusals.h"
#include "holdfast/base/internal/striped_counters.h"

namespace holdfast::internal {

// What an object says when it refuses a call, and how often it has said that. Thread-safe and
// lock-free.
class CountedRefusals : public Refusals {
 public:
  enum Reason : std::size_t { kExhausted, kDeadline, kCancelled, kImpossible };

  explicit CountedRefusals(Refusals refusals) : Refusals(std::move(refusals)) {}

  // Counts one of these statuses, and returns it.
  const absl::Status& Count(const absl::Status& refusal) const {
    counts_.Add(ReasonOf(refusal));
    return refusal;
  }
  // Of a request that was not to wait until a deadline.
  void CountRefused(bool is_impossible) const { Count(is_impossible ? impossible : exhausted); }

  std::uint64_t Total(Reason reason) const { return counts_.Sum(reason); }

 private:
  Reason ReasonOf(const absl::Status& refusal) const {
    if (&refusal == &exhausted) return kExhausted;
    if (&refusal == &deadline) return kDeadline;
    return &refusal == &cancelled ? kCancelled : kImpossible;
  }

  mutable StripedCounters counts_{kImpossible + 1};
};

// Tokens of calls whose true cost was known only afterwards. Both orders are relaxed: each is a
// count by itself. They share a line of a cache, since who changes them also takes a mutex.
class ChargeTotals {
 public:
  void Charge(std::int64_t n) { Add(charged_, n); }
  void Refund(std::int64_t n) { Add(refunded_, n); }

  std::uint64_t charged() const { return charged_.load(std::memory_order_relaxed); }
  std::uint64_t refunded() const { return refunded_.load(std::memory_order_relaxed); }

 private:
  static void Add(std::atomic<std::uint64_t>& total, std::int64_t n) {
    total.fetch_add(static_cast<std::uint64_t>(n), std::memory_order_relaxed);
  }

  std::atomic<std::uint64_t> charged_{0};
  std::atomic<std::uint64_t> refunded_{0};
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_RATE_INTERNAL_LIMIT_TOTALS_H_
