#include "holdfast/rate/internal/rate_limit_plan.h"

#include <absl/status/status.h>

#include <algorithm>

#include "holdfast/rate/rate_limit.h"
#include "src/base/info_text.h"
#include "src/rate/token_wait.h"

namespace holdfast::internal {
namespace {

bool IsSimple(const RateLimitTerms& terms) {
  return terms.cost == nullptr && !terms.refund_refused;
}

}  // namespace

RateLimitPlan::RateLimitPlan(std::string_view policy, std::shared_ptr<TokenSource> source,
                             std::shared_ptr<const TermsSource> terms, TokenBucket* one)
    : policy_(policy),
      source_(std::move(source)),
      terms_(std::move(terms)),
      one_(one),
      simple_(one_ != nullptr && !terms_->changes() && IsSimple(*terms_->Read())) {}

// Before tokens are acted on all of them go back; and those of a call that was refused afterwards,
// as far as that can be.
void RateLimitPlan::State::GiveBack() {
  if (!let_in_) {
    for (Reservation& reservation : taken_) TokenWait::GiveBack(reservation, call_->now());
    if (call_->abandonment() == Abandonment::kCancelled) whose_->Count(whose_->cancelled);
  } else if (RefusedBelow()) {
    for (const Reservation& reservation : taken_) TokenWait::TakeBack(reservation, call_->now());
  }
}

// Of what is acted on: there is nothing to give back, as far as that isn't refundable.
void RateLimitPlan::State::LetGo() {
  if (looked_) {
    for (Reservation& reservation : taken_) TokenWait::Watch(reservation, nullptr);
  }
  if (!refundable_) return taken_.clear();
  attempts_ = call_->attempt();
  let_in_ = !taken_.empty();
}

Verdict RateLimitPlan::TakeTokens(Call& call, State& state) const {
  if (state.call_ == nullptr) {
    state.terms_ = terms_->Read();
    if (LetsThrough(call, *state.terms_)) return Verdict::Proceed();
    Verdict taken = Take(call, state);
    if (taken.kind() == Verdict::Kind::kReject || state.cost_ < 0) return taken;
  }
  if (call.now() < *state.ready_at_) {
    state.looked_ = true;
    state.ready_at_ =
        std::min(*state.ready_at_, source_->Look(call, state.key_, state.cost_, state.taken_));
  }
  if (call.now() < *state.ready_at_) return Verdict::Wait(*state.ready_at_);
  state.LetGo();
  return Verdict::Proceed();
}

// Where the terms change, and at present ask for one token of one bucket: whether that is there.
bool RateLimitPlan::LetsThrough(Call& call, const RateLimitTerms& terms) const {
  return one_ != nullptr && !simple_ && IsSimple(terms) && call.now() <= call.deadline() &&
         TryAllow(call.now());
}

// Of a call that comes.
Verdict RateLimitPlan::Take(Call& call, State& state) const {
  const RateLimitTerms& terms = *state.terms_;
  const TimePoint now = call.now();
  const Patience patience{.give_up_at = SaturatingAdd(now, terms.max_wait),
                          .too_late_at = call.latest_start()};
  state.cost_ = terms.cost == nullptr ? 1 : terms.cost(std::as_const(call));
  state.key_ = terms.key(call);
  state.refundable_ = terms.refund_refused;
  state.call_ = &call;
  const TokenSource::Answer answer =
      source_->Take(state.key_, now, state.cost_, SaturatingSub(patience.until(), now),
                    state.refundable_, state.taken_);
  if (answer.refused) return Refuse(call, state, answer, patience);
  state.ready_at_ = answer.at;
  state.whose_ = answer.whose;
  if (terms.dry_run && answer.at > now) {
    call.NoteDryRun(policy_, absl::OkStatus(), answer.at);
    state.ready_at_ = now;
  }
  return Verdict::Proceed();
}

Verdict RateLimitPlan::Refuse(Call& call, State& state, const TokenSource::Answer& answer,
                              const Patience& patience) const {
  const RateLimitTerms& terms = *state.terms_;
  const CountedRefusals& refusals = *answer.whose;
  const absl::Status& refusal =
      answer.impossible ? refusals.impossible : patience.Refusal(refusals, answer.at);
  // One that comes later may wait for the same tokens.
  const bool too_long = SaturatingSub(answer.at, call.now()) > terms.max_wait;
  const bool waits =
      answer.waiting_helps && too_long && answer.at != TimePoint::max() && !patience.late();
  const TimePoint retry_at = waits ? answer.at - terms.max_wait : answer.at;
  if (!terms.dry_run) return Verdict::Reject(refusals.Count(refusal), retry_at);
  call.NoteDryRun(policy_, refusal, retry_at);
  state.cost_ = -1;
  return Verdict::Proceed();
}

void RateLimitPlan::Settle(Call& call, const State& state, std::int64_t true_cost) const {
  const std::int64_t difference = std::max<std::int64_t>(true_cost, 0) - state.cost_;
  if (state.cost_ >= 0 && difference != 0) source_->Settle(state.key_, call.now(), difference);
}

PolicyInfo RateLimitPlan::Info(const Changes& changes) const {
  const RateLimitTerms terms = terms_->With(changes);
  return {.settings = JoinSettings({source_->Describe(changes), MaxWaitText(terms.max_wait),
                                    terms.refund_refused ? "refunds what is refused" : "",
                                    terms.dry_run ? "dry run" : ""}),
          // The default gives way to a shorter Timeout outside, and so contradicts none.
          .max_wait = terms.dry_run || terms.max_wait == RateLimitOptions().max_wait
                          ? Duration::zero()
                          : terms.max_wait};
}

}  // namespace holdfast::internal
