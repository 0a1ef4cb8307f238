// A RetryBudget keeps retries from becoming the load that keeps a service down: they spend what
// successes earn.
//
//   auto budget = std::make_shared<holdfast::RetryBudget>(
//       holdfast::RetryBudget::Options{.capacity = 50, .per_success = 0.1});
//   holdfast::Retry reads({.budget = budget}), writes({.budget = budget});   // share it
//   holdfast::Retry all({.budget = holdfast::RetryBudget::Unlimited()});     // turn it off
#ifndef HOLDFAST_RETRY_RETRY_BUDGET_H_
#define HOLDFAST_RETRY_RETRY_BUDGET_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "holdfast/base/internal/changes.h"
#include "holdfast/base/internal/object_clock.h"
#include "holdfast/base/time.h"

namespace holdfast {

// Why a retry is made: a failed attempt that made the service work for nothing is worse than one
// that it turned away.
enum class RetryCause {
  kTransient,
  kThrottled,  // it said that it has too much to do: kResourceExhausted
  kTimedOut,   // kDeadlineExceeded
};

// Starts full. A retry withdraws 1, or what its class costs; a success deposits `per_success`, and
// each second `min_retries_per_second`: in the long run there are at most that many retries, and
// `capacity` more in one bad moment. What time brings lets a client with few calls retry again once
// an outage has spent all it had.
//
// The scheme is that of gRPC's retry throttling (gRFC A6) and of the AWS SDKs, whose standard mode
// comes to the defaults here: 500 tokens at 5 a retry and 10 after a time-out, and 1 back for a
// success. The floor is that of Finagle's RetryBudget (minRetriesPerSec) and tower's TpsBudget
// (min_per_sec); theirs is 10 a second, which a hundred processes would make 1,000.
//
// A budget protects a service only if enough calls share it: one that a client of a few calls a
// minute has for itself never runs dry, nor does one that is made for each call. Thread-safe and
// lock-free.
class RetryBudget {
 public:
  struct Options {
    std::int64_t capacity = 100;          // retries, 0 (none at all) to kMaxCapacity
    double per_success = 0.2;             // retries earned by a success, 0 to 1
    double min_retries_per_second = 0.1;  // retries earned by time alone, 0 to 1e6
    double throttled = 0.5;               // what a retry costs after kThrottled, 0 to 100
    double timed_out = 2;                 // and after kTimedOut
    std::string name = {};                // for messages
    Clock* clock = nullptr;               // of TryWithdraw() and balance(); null: SteadyClock()
  };
  static constexpr std::int64_t kMaxCapacity = 1'000'000'000;

  // Throws std::invalid_argument with the text of Validate.
  explicit RetryBudget(Options options);

  // A new one with default options, as a Retry or a Hedge makes for itself if it is given none.
  [[nodiscard]] static std::shared_ptr<RetryBudget> MakeDefault();

  // One that never refuses: it turns the budget off.
  [[nodiscard]] static std::shared_ptr<RetryBudget> Unlimited();

  // Takes one retry out, if what it costs is there.
  [[nodiscard]] bool TryWithdraw(RetryCause why = RetryCause::kTransient);
  // A `now` older than one already seen earns nothing.
  [[nodiscard]] bool TryWithdrawAt(TimePoint now, RetryCause why = RetryCause::kTransient);

  // Gives back what was withdrawn for a retry that was not made: what such a retry costs now, where
  // an Update has changed that.
  void Refund(RetryCause why = RetryCause::kTransient) { Add(CostOf(why)); }

  // Repays for one success. Reads no clock.
  void Deposit() {
    if (balance_.load(std::memory_order_relaxed) < capacity()) {
      Add(deposit_.load(std::memory_order_relaxed));
    }
  }

  // Replaces the options, all of them, while calls run. The balance stays, as far as a new capacity
  // has room for it: a larger one grants nothing at once. The time until now has earned at the old
  // rate. Name and clock stay: left out they are as before, and others are refused.
  // kInvalidArgument, with nothing changed, for what Validate refuses; and for a budget that is
  // Unlimited, which has no options.
  absl::Status Update(Options options) {
    return internal::CommitNow(PrepareUpdate(std::move(options)));
  }
  // Those of now: to change one, change a copy of them. One that is Unlimited has those of a budget
  // that holds nothing.
  Options options() const;
  // For UpdateAll: see internal/changes.h.
  absl::StatusOr<internal::Commit> PrepareUpdate(Options options);

  // Retries there are, fractions included; infinity for one that is Unlimited.
  [[nodiscard]] double balance() const;
  [[nodiscard]] double BalanceAt(TimePoint now) const;

  bool unlimited() const { return unlimited_; }
  const std::string& name() const { return name_; }

  // For stacks: see internal/object_clock.h.
  void BindClock(internal::ClockBinder& binder, std::string_view policy) {
    binder.Bind(policy, name_, clock_);
  }

 private:
  static constexpr std::int64_t kOneRetry = 1'000'000;

  // What time has earned since the last withdrawal, and how long that took.
  struct Earned {
    std::int64_t amount = 0;
    Duration took{0};
  };

  void SetAmounts(const Options& options);
  void Change(Options options);
  void SettleAt(TimePoint now);

  Earned EarnedBy(TimePoint now, TimePoint since) const;
  void Earn(TimePoint now);

  std::int64_t capacity() const { return capacity_.load(std::memory_order_acquire); }
  std::int64_t per_second() const { return per_second_.load(std::memory_order_acquire); }
  std::int64_t CostOf(RetryCause why) const {
    return costs_[static_cast<std::size_t>(why)].load(std::memory_order_relaxed);
  }

  void Add(std::int64_t amount);

  // Amounts are in millionths of a retry. Relaxed, but for two: the numbers are all there is to
  // agree on. Who moves earned_until_ on adds what that time earned, so no time is paid for twice;
  // until it is added another thread may find too little, which refuses a retry and mints none.
  //
  // A balance that was more than a smaller capacity, or is put back beside that change, counts as
  // what there is room for; what is beyond goes before the capacity grows again. New rates and
  // capacities are stored with release after earned_until_ was moved on, and read with acquire
  // before that is moved again: who reads them can't have them pay for the time before.
  std::atomic<std::int64_t> balance_;
  std::atomic<TimePoint::rep> earned_until_;  // min(): nothing was withdrawn yet, so it is full
  std::atomic<std::int64_t> capacity_;
  std::atomic<std::int64_t> deposit_;
  std::atomic<std::int64_t> per_second_;
  std::array<std::atomic<std::int64_t>, 3> costs_;  // by class

  mutable std::mutex mutex_;  // of whoever changes the options
  Options options_;           // as they were given
  bool unlimited_ = false;
  const std::string name_;
  internal::ObjectClock clock_;
};

absl::Status Validate(const RetryBudget::Options& options);

}  // namespace holdfast

#endif  // HOLDFAST_RETRY_RETRY_BUDGET_H_
