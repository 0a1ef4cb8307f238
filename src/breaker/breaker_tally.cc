#include "src/breaker/breaker_tally.h"

namespace holdfast::internal {

BreakerTally::BreakerTally(const CircuitBreaker::Options& options) {
  if (options.last_calls > 0) last_calls_.emplace(options.last_calls);
  if (options.bucket_period > Duration::zero() &&
      RollingWindow::BucketCount(options.interval, options.bucket_period) > 1) {
    rolling_.emplace(options.interval, options.bucket_period);
  }
}

void BreakerTally::Clear(TimePoint now, std::uint64_t era) {
  totals_ = BreakerCounts{};
  first_era_ = era;
  if (rolling_) rolling_->Clear(now, era);
  if (last_calls_) last_calls_->Clear();
}

std::uint64_t BreakerTally::EraAt(TimePoint now) const {
  return rolling_ ? rolling_->EraAt(now) : first_era_;
}

void BreakerTally::Roll(std::uint64_t era) {
  if (rolling_) rolling_->Roll(era, totals_);
}

void BreakerTally::Admit(std::uint64_t era, std::uint64_t calls) {
  if (calls > 0) Add(era, {.requests = calls});
}

void BreakerTally::Succeed(std::uint64_t era, std::uint64_t calls) {
  if (calls == 0) return;
  Add(era, {.successes = calls});
  LengthenRun(totals_, Outcome::kSuccess, calls);
}

void BreakerTally::Record(std::uint64_t era, Outcome outcome, bool slow) {
  const std::uint64_t number = totals_.judged();
  const bool failed = outcome == Outcome::kFailure;
  slow = slow && outcome != Outcome::kIgnored;
  Add(era, {.successes = outcome == Outcome::kSuccess ? 1U : 0U,
            .failures = failed ? 1U : 0U,
            .ignored = outcome == Outcome::kIgnored ? 1U : 0U,
            .slow = slow ? 1U : 0U});
  LengthenRun(totals_, outcome, 1);
  if (last_calls_ && (failed || slow)) last_calls_->Add(number, failed, slow);
}

BreakerCounts BreakerTally::Counts() {
  if (last_calls_) last_calls_->Forget(totals_.judged());
  return CountsWith(0, 0);
}

BreakerCounts BreakerTally::CountsWith(std::uint64_t admitted, std::uint64_t succeeded) const {
  BreakerCounts totals = totals_;
  totals.requests += admitted;
  totals.successes += succeeded;
  if (succeeded > 0) LengthenRun(totals, Outcome::kSuccess, succeeded);
  return last_calls_ ? last_calls_->Counts(totals) : totals;
}

void BreakerTally::Add(std::uint64_t era, const BreakerCounts& what) {
  if (rolling_ && !rolling_->Add(era, what)) return;
  AddCounts(totals_, what);
}

void BreakerTally::LengthenRun(BreakerCounts& counts, Outcome outcome, std::uint64_t calls) {
  if (outcome == Outcome::kSuccess) {
    counts.consecutive_successes += calls;
    counts.consecutive_failures = 0;
  } else if (outcome == Outcome::kFailure) {
    counts.consecutive_failures += calls;
    counts.consecutive_successes = 0;
  }
}

}  // namespace holdfast::internal
