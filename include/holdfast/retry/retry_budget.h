// A RetryBudget limits retries to a fraction of the successes, so that retries cannot keep an
// overloaded service down.
//
//   auto budget = std::make_shared<holdfast::RetryBudget>(
//       holdfast::RetryBudget::Options{.capacity = 50, .per_success = 0.1});
//   holdfast::Retry reads({.budget = budget}), writes({.budget = budget});   // shared
//   holdfast::Retry all({.budget = holdfast::RetryBudget::Unlimited()});     // no budget
#ifndef HOLDFAST_RETRY_RETRY_BUDGET_H_
#define HOLDFAST_RETRY_RETRY_BUDGET_H_

#include <absl/base/attributes.h>
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
#include <string_view>
#include <utility>

#include "holdfast/base/internal/changes.h"
#include "holdfast/base/internal/object_clock.h"
#include "holdfast/base/internal/striped_counters.h"
#include "holdfast/base/time.h"
#include "holdfast/call/collector.h"

namespace holdfast {

// Why a retry is made, which decides its cost: an attempt that timed out made the service work for
// nothing, one that the service turned away did not.
enum class RetryCause {
  kTransient,  // any other failure
  kThrottled,  // the service was overloaded and said so: kResourceExhausted
  kTimedOut,   // the attempt timed out: kDeadlineExceeded
};

// A token bucket for retries, in units of one retry. It starts full. A retry withdraws 1, or what
// its RetryCause costs; a success deposits `per_success`, and each second deposits
// `min_retries_per_second`. So in the long run there are at most as many retries as these deposit,
// and up to `capacity` more at once. The deposit by time lets a client with few calls retry again
// after an outage has emptied its budget.
//
// The scheme is that of gRPC's retry throttling (gRFC A6) and of the AWS SDKs. The defaults are
// those of the SDKs' standard mode: 500 tokens, 5 for a retry, 10 after a timeout, and 1 back for a
// success. The minimum per second is that of Finagle's RetryBudget (minRetriesPerSec) and of
// tower's TpsBudget (min_per_sec); theirs is 10 per second, which for a hundred processes would be
// 1,000 per second.
//
// A budget protects a service only if many calls share it: one that serves a few calls per minute
// never runs out, and neither does one that is made for each call.
//
// Thread-safe and lock-free, but for Update.
class RetryBudget {
 public:
  struct Options {
    std::int64_t capacity = 100;  // retries that it can hold, 0 (no retries) to kMaxCapacity
    double per_success = 0.2;     // retries that a success deposits, 0 to 1
    double min_retries_per_second = 0.1;  // retries that each second deposits, 0 to 1e6
    double throttled = 0.5;               // cost of a retry after kThrottled, in retries, 0 to 100
    double timed_out = 2;                 // cost of a retry after kTimedOut, in retries, 0 to 100
    std::string name = {};                // for messages
    Clock* clock = nullptr;  // for methods without At; null: SteadyClock(); must outlive this
  };
  static constexpr std::int64_t kMaxCapacity = 1'000'000'000;

  // Throws std::invalid_argument with the text of Validate.
  explicit RetryBudget(Options options);

  // A new budget with default options: what a Retry or a Hedge makes if it is given none.
  [[nodiscard]] static std::shared_ptr<RetryBudget> MakeDefault();

  // A budget that allows every retry.
  [[nodiscard]] static std::shared_ptr<RetryBudget> Unlimited();

  // Withdraws the cost of one retry; false, with nothing withdrawn, if the balance is too low.
  [[nodiscard]] bool TryWithdraw(RetryCause why = RetryCause::kTransient);
  // A `now` that is older than one already seen deposits nothing.
  [[nodiscard]] bool TryWithdrawAt(TimePoint now, RetryCause why = RetryCause::kTransient);

  // Returns the cost of a retry that was withdrawn and then not made: the present cost, if an
  // Update has changed it.
  void Refund(RetryCause why = RetryCause::kTransient) { Add(CostOf(why)); }

  // Deposits `per_success`. Reads no clock.
  ABSL_ATTRIBUTE_ALWAYS_INLINE void Deposit() {
    if (balance_.load(std::memory_order_relaxed) < capacity()) {
      Add(deposit_.load(std::memory_order_relaxed));
    }
  }

  // Replaces all options while calls run. The balance stays, up to the new capacity: a larger
  // capacity adds nothing at once. The time until now deposits at the old rate. Name and clock
  // cannot change: leave them out, or give the present ones. kInvalidArgument, with nothing
  // changed, for what Validate refuses, for another name or clock, and for an Unlimited budget.
  absl::Status Update(Options options) {
    return internal::CommitNow(PrepareUpdate(std::move(options)));
  }
  // The present options; to change one of them, Update with a changed copy. An Unlimited budget
  // returns those of an empty one.
  Options options() const;
  // For UpdateAll: see internal/changes.h.
  absl::StatusOr<internal::Commit> PrepareUpdate(Options options);

  // The balance in retries, with fractions; infinity for an Unlimited budget.
  [[nodiscard]] double balance() const;
  [[nodiscard]] double BalanceAt(TimePoint now) const;

  // Tells holdfast.retry_budget.*, and settles no account. An Unlimited budget tells nothing: it
  // has no balance.
  void Collect(Collector& collector) const;

  bool unlimited() const { return unlimited_; }
  const std::string& name() const { return name_; }

  // For stacks: see internal/object_clock.h.
  void BindClock(internal::ClockBinder& binder, std::string_view policy) {
    binder.Bind(policy, name_, clock_);
  }

 private:
  static constexpr std::int64_t kOneRetry = 1'000'000;

  enum Total : std::size_t { kWithdrawn, kExhausted, kTotals };

  // What the time since the last withdrawal deposits, and the time that this takes.
  struct Earned {
    std::int64_t amount = 0;
    Duration took{0};
  };

  void SetAmounts(const Options& options);
  void Change(Options options);
  void SettleAt(TimePoint now);

  bool Withdraw(TimePoint now, RetryCause why);
  Earned EarnedBy(TimePoint now, TimePoint since) const;
  void Earn(TimePoint now);

  std::int64_t capacity() const { return capacity_.load(std::memory_order_acquire); }
  std::int64_t per_second() const { return per_second_.load(std::memory_order_acquire); }
  std::int64_t CostOf(RetryCause why) const {
    return costs_[static_cast<std::size_t>(why)].load(std::memory_order_relaxed);
  }

  void Add(std::int64_t amount);

  // Amounts are in millionths of a retry. All orders are relaxed but those of capacity_ and
  // per_second_, since each word is a value by itself. The thread that moves earned_until_ forward
  // adds what that time deposits, so no time is deposited twice; until it has added it, another
  // thread may find too little, which refuses a retry and never allows one too many.
  //
  // A balance above a capacity that an Update made smaller, or that a Refund beside it restored,
  // counts up to that capacity only; the rest is removed before the capacity can grow again. New
  // rates and capacities are stored with release after earned_until_ was moved to the present, and
  // read with acquire before it is moved again: so no thread applies them to time before the
  // Update.
  //
  // totals_ is raised once for each answer of TryWithdraw. It is striped, apart from the words
  // above: where every call fails, every call asks, and none of them should wait for the others,
  // nor should a success that reads the balance.
  std::atomic<std::int64_t> balance_;
  std::atomic<TimePoint::rep> earned_until_;  // min(): full, nothing was withdrawn yet
  std::atomic<std::int64_t> capacity_;
  std::atomic<std::int64_t> deposit_;
  std::atomic<std::int64_t> per_second_;
  std::array<std::atomic<std::int64_t>, 3> costs_;  // by RetryCause
  internal::StripedCounters totals_{kTotals};       // by Total

  mutable std::mutex mutex_;  // held by whoever changes the options
  Options options_;           // as they were given
  bool unlimited_ = false;
  const std::string name_;
  internal::ObjectClock clock_;
};

absl::Status Validate(const RetryBudget::Options& options);

}  // namespace holdfast

#endif  // HOLDFAST_RETRY_RETRY_BUDGET_H_
