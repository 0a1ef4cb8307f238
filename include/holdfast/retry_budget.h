// A RetryBudget keeps retries from becoming the load that keeps a service down: they spend what
// successes earn.
//
//   auto budget = std::make_shared<holdfast::RetryBudget>(
//       holdfast::RetryBudget::Options{.capacity = 50, .per_success = 0.1});
//   holdfast::Retry reads({.budget = budget}), writes({.budget = budget});   // share it
#ifndef HOLDFAST_RETRY_BUDGET_H_
#define HOLDFAST_RETRY_BUDGET_H_

#include <absl/status/status.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace holdfast {

// Why a retry is made: a failed attempt that made the service work for nothing is worse than one
// that it turned away.
enum class RetryClass {
  kTransient,
  kThrottled,  // it said that it has too much to do: kResourceExhausted
  kTimedOut,   // kDeadlineExceeded
};

// Starts full. A retry withdraws 1, or what its class costs; a success deposits `per_success`: in
// the long run there are at most per_success retries for each success, and `capacity` more in one
// bad moment. The scheme is that of gRPC's retry throttling (gRFC A6) and of the AWS SDKs, whose
// standard mode comes to the defaults here: 500 tokens at 5 a retry and 10 after a time-out, and 1
// back for a success. It protects a service only if enough calls share it: one that a client of a
// few calls a minute has for itself never runs dry. Thread-safe and lock-free.
class RetryBudget {
 public:
  struct Options {
    std::int64_t capacity = 100;  // retries, 0 (none at all) to kMaxCapacity
    double per_success = 0.2;     // retries earned by a success, 0 to 1
    double throttled = 0.5;       // what a retry costs after kThrottled, 0 to 100
    double timed_out = 2;         // and after kTimedOut
    std::string name = {};        // for messages
  };
  static constexpr std::int64_t kMaxCapacity = 1'000'000'000;

  // Throws std::invalid_argument with the text of Validate.
  explicit RetryBudget(Options options);

  // A new one with default options: what a Retry has unless it is given another.
  static std::shared_ptr<RetryBudget> Default();

  // Takes one retry out, if what it costs is there.
  bool TryWithdraw(RetryClass why = RetryClass::kTransient);

  // Gives back what was withdrawn for a retry that was not made.
  void Refund(RetryClass why = RetryClass::kTransient) { Add(CostOf(why)); }

  // Repays for one success.
  void Deposit() { Add(deposit_); }

  double balance() const;  // retries there are, fractions included
  const std::string& name() const { return name_; }

 private:
  static constexpr std::int64_t kOneRetry = 1'000'000;

  std::int64_t CostOf(RetryClass why) const { return costs_[static_cast<std::size_t>(why)]; }

  void Add(std::int64_t amount) {
    std::int64_t balance = balance_.load(std::memory_order_relaxed);
    while (balance < capacity_ &&
           !balance_.compare_exchange_weak(balance, std::min(capacity_, balance + amount),
                                           std::memory_order_relaxed)) {
    }
  }

  // In millionths of a retry. Relaxed throughout: the number is all there is to agree on.
  std::atomic<std::int64_t> balance_;
  std::int64_t capacity_;
  std::int64_t deposit_;
  std::array<std::int64_t, 3> costs_;  // by class
  std::string name_;
};

absl::Status Validate(const RetryBudget::Options& options);

}  // namespace holdfast

#endif  // HOLDFAST_RETRY_BUDGET_H_
