// What Retry tells Describe and Validate.
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>

#include "holdfast/retry/retry.h"
#include "src/base/info_text.h"

namespace holdfast::internal {
namespace {

// A generator of the largest number, which gives the longest jittered delay.
struct Longest {
  using result_type = std::uint64_t;
  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return std::numeric_limits<result_type>::max(); }
  result_type operator()() const { return max(); }
};

// The longest sum of the delays between so many attempts. Delays after the first thousand count as
// the last of those, since delays do not become shorter.
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
  (void)changes.Of(*options_.budget);  // none of its options are shown

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
