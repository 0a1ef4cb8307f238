#include "holdfast/concurrency/bulkhead.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <string>

#include "holdfast/base/internal/options_checker.h"
#include "holdfast/call/internal/patience.h"
#include "src/base/info_text.h"

namespace holdfast {
namespace {

// The default is not said: it gives way to a shorter Timeout outside, and so contradicts none.
std::string WaitText(const BulkheadOptions& options) {
  if (options.max_queue == 0 || options.max_wait == BulkheadOptions().max_wait) return {};
  if (options.max_wait == Duration::max()) return "waits until the deadline";
  return internal::MaxWaitText(options.max_wait);
}

}  // namespace

absl::Status Validate(const BulkheadOptions& options) {
  internal::OptionsChecker check("Bulkhead");
  check(options.max_wait >= Duration::zero(), "max_wait must be >= 0");
  check(options.max_queue >= 0, "max_queue must be >= 0");
  if (const auto& delay = options.controlled_delay) {
    check(delay->target > Duration::zero(), "controlled_delay.target must be > 0");
    check(delay->interval > Duration::zero(), "controlled_delay.interval must be > 0");
  }
  return check.status();
}

Verdict Bulkhead::Queue(Call& call, State& state) const {
  const internal::Refusals& refusals = semaphore_->refusals();
  if (!state.waiter_) {
    const auto options = options_.Read();
    if (Queueless(*options)) return RefuseWithoutQueue(call);
    if (!Enter(call, state, *options)) return Verdict::Reject(refusals.exhausted);
  }
  // NOLINTNEXTLINE(bugprone-unchecked-optional-access): Enter makes it
  Semaphore::Waiter& waiter = *state.waiter_;
  if (auto taken = waiter.Take()) {
    if (!taken->ok()) return Verdict::Reject(taken->status());
    state.permit_ = *std::move(*taken);
    state.attempt_ = call.attempt();
    return Verdict::Proceed();
  }
  const internal::Patience patience{.give_up_at = *state.give_up_at_,
                                    .too_late_at = *state.too_late_at_};
  if (!patience.EndedBy(call.now())) return Verdict::Wait(patience.until());
  waiter.Leave(patience.late() ? internal::PermitRefusal::kDeadline
                               : internal::PermitRefusal::kMaxWait);
  return Verdict::Reject(patience.Refusal(refusals));
}

Verdict Bulkhead::RefuseWithoutQueue(Call& call) const {
  if (semaphore_->reserved_.HasLowerPriority(call.priority())) {
    semaphore_->reserved_.NoteRefused(call.priority(), call.now(), semaphore_->limit());
  }
  semaphore_->refused_.Count(internal::PermitRefusal::kFull, call.priority());
  return Verdict::Reject(semaphore_->refusals().exhausted);
}

bool Bulkhead::OnlyReservedLeft(Call& call) const {
  const std::int64_t reserved = semaphore_->reserved_.ReservedAgainst(call.priority(), call.now());
  return reserved > 0 && semaphore_->in_use() >= semaphore_->limit() - reserved;
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
  const bool chosen = !Queueless(options) && options.max_wait != BulkheadOptions().max_wait;
  return {
      .settings = internal::JoinSettings(
          {internal::NameText(semaphore_->name()), absl::StrCat(limit, " at once"),
           bounded ? absl::StrCat("queue of ", options.max_queue) : "",
           options.order == QueueOrder::kNewestFirst ? "LIFO" : "",
           options.controlled_delay
               ? absl::StrCat("CoDel ", internal::DurationText(options.controlled_delay->target))
               : "",
           WaitText(options)}),
      .max_wait = chosen ? options.max_wait : TimeSpan{},
      .limit = limit};
}

}  // namespace holdfast
