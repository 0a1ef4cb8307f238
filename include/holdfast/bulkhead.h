// Bulkhead bounds how many calls are below it at once; the others wait their turn.
//
//   auto fetch = holdfast::Stack(holdfast::Timeout(2s), holdfast::Bulkhead({.limit = 100}))
//                    .Around(transport);
#ifndef HOLDFAST_BULKHEAD_H_
#define HOLDFAST_BULKHEAD_H_

#include <absl/base/attributes.h>
#include <absl/status/status.h>

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "holdfast/call.h"
#include "holdfast/internal/validate.h"
#include "holdfast/policy_facts.h"
#include "holdfast/semaphore.h"
#include "holdfast/verdict.h"

namespace holdfast {

struct BulkheadOptions {
  Duration max_wait = Duration::max();  // for a permit; zero: refuse at once
  std::int64_t max_queue = std::numeric_limits<std::int64_t>::max();  // waiters; above it, refuse
};

absl::Status Validate(const BulkheadOptions& options);

// One permit for each call below it, held until the result has passed it, whatever happens; also
// for as long as an attempt below it really runs, where a Timeout walked away from that. Calls wait
// first come, first served, until their deadline or for `max_wait`. Refuses with kResourceExhausted
// when the queue is full or max_wait is over, kDeadlineExceeded when the deadline comes first.
class Bulkhead {
 public:
  static constexpr std::string_view kName = "Bulkhead";

  // Both throw std::invalid_argument for options that Validate refuses, and for a null semaphore.
  explicit Bulkhead(std::shared_ptr<Semaphore> semaphore, BulkheadOptions options = {})
      : semaphore_(internal::NotNull(std::move(semaphore))),
        options_(internal::Validated(options)) {}
  explicit Bulkhead(Semaphore::Options semaphore, BulkheadOptions options = {})
      : Bulkhead(std::make_shared<Semaphore>(std::move(semaphore)), options) {}

  class State {
    friend class Bulkhead;
    Permit permit_;
    std::optional<Semaphore::Waiter> waiter_;
    TimePoint give_up_at_ = {};
    int attempt_ = 0;  // the one before those that the permit is for
  };

  ABSL_ATTRIBUTE_ALWAYS_INLINE Verdict Before(Call& call, State& state) const {
    if (state.waiter_ || !semaphore_->TryTake(1)) return Queue(call, state);
    state.attempt_ = call.attempt();
    // Where it lies: to move it there would cost as much as to take it.
    state.permit_.semaphore_ = semaphore_.get();
    state.permit_.n_ = 1;
    return Verdict::Proceed();
  }

  template <class R>
  ABSL_ATTRIBUTE_ALWAYS_INLINE Next After(Call&, State&, R&) const {
    return Next::Done();
  }

  // What runs on after the call stopped waiting for it still counts.
  void Linger(Call& call, State& state) const;

  PolicyFacts Facts() const;

 private:
  Verdict Queue(Call& call, State& state) const;

  std::shared_ptr<Semaphore> semaphore_;
  BulkheadOptions options_;
};

}  // namespace holdfast

#endif  // HOLDFAST_BULKHEAD_H_
