#include "holdfast/bulkhead.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "facts_text.h"

namespace holdfast {

absl::Status Validate(const BulkheadOptions& options) {
  if (options.max_wait < Duration::zero()) {
    return absl::InvalidArgumentError("Bulkhead: max_wait must be >= 0");
  }
  if (options.max_queue < 0) return absl::InvalidArgumentError("Bulkhead: max_queue must be >= 0");
  return absl::OkStatus();
}

Verdict Bulkhead::Queue(Call& call, State& state) const {
  const internal::Refusals& refusals = semaphore_->refusals();
  if (!state.waiter_) {
    state.give_up_at_ = SaturatingAdd(call.now(), options_.max_wait);
    if (options_.max_wait == Duration::zero() ||
        !state.waiter_.emplace().TryEnter(*semaphore_, 1, call.waker(), options_.max_queue)) {
      return Verdict::Reject(refusals.exhausted);
    }
  }
  if (auto taken = state.waiter_->Take()) {
    if (!taken->ok()) return Verdict::Reject(taken->status());
    state.permit_ = *std::move(*taken);
    state.attempt_ = call.attempt();
    return Verdict::Proceed();
  }
  const TimePoint until = std::min(state.give_up_at_, call.deadline());
  if (until == TimePoint::max() || call.now() < until) return Verdict::Wait(until);
  return Verdict::Reject(call.deadline() <= state.give_up_at_ ? refusals.deadline
                                                              : refusals.exhausted);
}

void Bulkhead::Linger(Call& call, State& state) const {
  struct Admission {
    std::shared_ptr<Semaphore> semaphore;
    Permit permit;
  };
  if (state.permit_.semaphore_ == nullptr) return;
  const auto admission =
      std::make_shared<Admission>(Admission{semaphore_, std::move(state.permit_)});
  call.KeepForLeft(state.attempt_, admission);
}

PolicyFacts Bulkhead::Facts() const {
  const std::int64_t limit = semaphore_->limit();
  const bool bounded = options_.max_queue != BulkheadOptions().max_queue;
  return {.settings = internal::JoinSettings(
              {internal::NameText(semaphore_->name()), absl::StrCat(limit, " at once"),
               bounded ? absl::StrCat("queue of ", options_.max_queue) : "",
               internal::MaxWaitText(options_.max_wait)}),
          .max_wait = options_.max_wait,
          .limit = limit};
}

}  // namespace holdfast
