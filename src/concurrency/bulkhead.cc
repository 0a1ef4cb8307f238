#include "holdfast/concurrency/bulkhead.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "src/base/info_text.h"

namespace holdfast {

absl::Status Validate(const BulkheadOptions& options) {
  const auto wrong = [](absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat("Bulkhead: ", what));
  };
  if (options.max_wait < Duration::zero()) return wrong("max_wait must be >= 0");
  if (options.max_queue < 0) return wrong("max_queue must be >= 0");
  if (const auto& delay = options.controlled_delay) {
    if (delay->target <= Duration::zero()) return wrong("controlled_delay.target must be > 0");
    if (delay->interval <= Duration::zero()) return wrong("controlled_delay.interval must be > 0");
  }
  return absl::OkStatus();
}

Verdict Bulkhead::Queue(Call& call, State& state) const {
  const internal::Refusals& refusals = semaphore_->refusals();
  if (!state.waiter_) {
    const auto options = options_.Read();
    if (Queueless(*options)) return Refuse(call);
    if (!Enter(call, state, *options)) return Verdict::Reject(refusals.exhausted);
  }
  // NOLINTNEXTLINE(bugprone-unchecked-optional-access): Enter makes it
  if (auto taken = state.waiter_->Take()) {
    if (!taken->ok()) return Verdict::Reject(taken->status());
    state.permit_ = *std::move(*taken);
    state.attempt_ = call.attempt();
    return Verdict::Proceed();
  }
  const TimePoint until = std::min(*state.give_up_at_, *state.too_late_at_);
  if (until == TimePoint::max() || call.now() < until) return Verdict::Wait(until);
  return Verdict::Reject(*state.too_late_at_ <= *state.give_up_at_ ? refusals.deadline
                                                                   : refusals.exhausted);
}

// Where nobody may wait.
Verdict Bulkhead::Refuse(Call& call) const {
  if (semaphore_->reserved_.Counts(call.priority())) {
    semaphore_->reserved_.Missed(call.priority(), call.now(), semaphore_->limit());
  }
  return Verdict::Reject(semaphore_->refusals().exhausted);
}

bool Bulkhead::LeavesFree(Call& call) const {
  const std::int64_t kept = semaphore_->reserved_.For(call.priority(), call.now());
  return kept > 0 && semaphore_->in_use() >= semaphore_->limit() - kept;
}

bool Bulkhead::Enter(Call& call, State& state, const BulkheadOptions& options) const {
  if (!state.waiter_.emplace().TryEnter(*semaphore_, call.waker(),
                                        {.priority = call.priority(),
                                         .newest_first = options.order == QueueOrder::kNewestFirst,
                                         .max_queue = options.max_queue,
                                         .now = call.now()})) {
    return false;
  }
  Duration wait = options.max_wait;
  if (const auto& delay = options.controlled_delay;
      delay && state.waiter_->queue_age() > delay->interval) {
    wait = std::min<Duration>(wait, delay->target);
  }
  state.give_up_at_ = SaturatingAdd(call.now(), wait);
  state.too_late_at_ = call.latest_start(semaphore_->expected_hold());
  return true;
}

void Bulkhead::OnAbandon(Call& call, State& state) const {
  struct Admission {
    std::shared_ptr<Semaphore> semaphore;
    Permit permit;
  };
  if (state.permit_.semaphore_ == nullptr) return;
  const auto admission =
      std::make_shared<Admission>(Admission{semaphore_, std::move(state.permit_)});
  call.HoldUntilAbandonedEnd(state.attempt_, admission);
}

PolicyInfo Bulkhead::Info(const internal::Changes& changes) const {
  const BulkheadOptions options = options_.With(changes);
  const Semaphore::Options* const next = changes.Of(*semaphore_);
  const std::int64_t limit = next == nullptr ? semaphore_->limit() : next->limit;
  const bool bounded = options.max_queue != BulkheadOptions().max_queue;
  return {.settings = internal::JoinSettings(
              {internal::NameText(semaphore_->name()), absl::StrCat(limit, " at once"),
               bounded ? absl::StrCat("queue of ", options.max_queue) : "",
               options.order == QueueOrder::kNewestFirst ? "newest first" : "",
               options.controlled_delay
                   ? absl::StrCat("sheds after ",
                                  internal::DurationText(options.controlled_delay->target))
                   : "",
               options.max_queue == 0 ? "" : internal::MaxWaitText(options.max_wait)}),
          .max_wait = Queueless(options) ? TimeSpan{} : options.max_wait,
          .limit = limit};
}

}  // namespace holdfast
