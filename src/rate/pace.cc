#include "holdfast/rate/pace.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "holdfast/base/internal/options_checker.h"
#include "holdfast/call/internal/patience.h"
#include "src/base/info_text.h"

namespace holdfast {

absl::Status Validate(const PaceOptions& options) {
  internal::OptionsChecker check("Pace");
  check(options.max_wait >= Duration::zero(), "max_wait must be >= 0");
  return check.status();
}

// Of a call that was let in only where it was refused below, or stopped, before any attempt ran.
void Pace::State::GiveBack() {
  const bool stopped = call_->abandonment() == Abandonment::kCancelled;
  const bool refused = call_->attempt() == attempts_ && (call_->rejected() || stopped);
  if (!let_in_ || refused) pacer_->GiveBack(place_);
  if (!let_in_ && stopped) pacer_->refusals().Count(pacer_->refusals().cancelled);
}

Verdict Pace::Before(Call& call, State& state) const {
  const TimePoint now = call.now();
  if (state.pacer_ == nullptr) {
    const auto options = options_.Read();
    const internal::Patience patience{.give_up_at = SaturatingAdd(now, options->max_wait),
                                      .too_late_at = call.latest_start()};
    const Pacer::Place place = pacer_->Claim(now, SaturatingSub(patience.until(), now));
    if (!place.taken) {
      const internal::CountedRefusals& refusals = pacer_->refusals();
      return Verdict::Reject(refusals.Count(patience.Refusal(refusals, place.ready_at)),
                             place.ready_at);
    }
    if (place.ready_at <= now && !options->refund_refused) return Verdict::Proceed();
    state.call_ = &call;
    state.place_ = place;
    state.refundable_ = options->refund_refused;
    state.let_in_ = false;
    state.attempts_ = call.attempt();
    state.pacer_ = pacer_.get();
  }
  if (now < state.place_.ready_at) return Verdict::Wait(state.place_.ready_at);
  return LetIn(state);
}

// What is acted on is not given back, as far as it isn't refundable.
Verdict Pace::LetIn(State& state) {
  if (state.refundable_) {
    state.let_in_ = true;
  } else {
    state.pacer_ = nullptr;
  }
  return Verdict::Proceed();
}

PolicyInfo Pace::Info(const internal::Changes& changes) const {
  const PaceOptions options = options_.With(changes);
  const Pacer::Options* const next = changes.Of(*pacer_);
  const double rate = next == nullptr ? pacer_->rate() : next->rate;
  const std::int64_t slack = next == nullptr ? pacer_->slack() : next->slack;
  return {.settings = internal::JoinSettings(
              {internal::NameText(pacer_->name()), internal::RateText(rate),
               absl::StrCat("slack ", slack), internal::MaxWaitText(options.max_wait)}),
          // The default gives way to a shorter Timeout outside, and so contradicts none.
          .max_wait = options.max_wait == PaceOptions().max_wait ? TimeSpan{} : options.max_wait};
}

}  // namespace holdfast
