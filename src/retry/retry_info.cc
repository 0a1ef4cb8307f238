// What Retry says of itself.
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>

#include "holdfast/retry/retry.h"
#include "src/base/info_text.h"

namespace holdfast::internal {
namespace {

// Draws the largest number each time, and of a jittered delay that is the longest.
struct Longest {
  using result_type = std::uint64_t;
  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return std::numeric_limits<result_type>::max(); }
  result_type operator()() const { return max(); }
};

// At most, in all, between so many attempts. Delays that come after very many others count as the
// last of those: they are no shorter.
Duration LongestBackoff(const Backoff& backoff, int attempts) {
  constexpr int kMany = 1000;
  Longest longest;
  TimePoint end;
  Duration delay{0};
  const int looked_at = std::min(attempts - 1, kMany);
  for (int retry = 1; retry <= looked_at; ++retry) {
    delay = backoff.Delay(retry, longest);
    end = SaturatingAdd(end, delay);
  }
  const int others = attempts - 1 - looked_at;
  return SaturatingAdd(end, SaturatingMul(delay, others)).time_since_epoch();
}

}  // namespace

PolicyInfo RetryPlan::Info(const Changes& changes) const {
  (void)changes.Of(*options_.budget);  // it says nothing of what the budget has

  const Duration backoff = LongestBackoff(options_.backoff, options_.max_attempts);
  const RetryBudget& budget = *options_.budget;
  const bool bounded = options_.max_elapsed != Duration::max();
  return {.settings = JoinSettings(
              {CountText(options_.max_attempts, "attempt"),
               absl::StrCat("backoff up to ", DurationText(backoff)),
               bounded ? absl::StrCat("within ", DurationText(options_.max_elapsed)) : "",
               options_.wait_for_refusals ? "waits for refusals" : "",
               budget.unlimited()      ? "no budget"
               : budget.name().empty() ? ""
                                       : absl::StrCat("budget ", NameText(budget.name()))}),
          .attempts = options_.max_attempts,
          .backoff = backoff,
          .max_elapsed = options_.max_elapsed,
          .waits_for_refusals = options_.wait_for_refusals};
}

}  // namespace holdfast::internal
