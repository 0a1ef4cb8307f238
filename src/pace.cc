#include "holdfast/pace.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "facts_text.h"

namespace holdfast {

absl::Status Validate(const PaceOptions& options) {
  if (options.max_wait < Duration::zero()) {
    return absl::InvalidArgumentError("Pace: max_wait must be >= 0");
  }
  return absl::OkStatus();
}

Verdict Pace::Before(Call& call, State& state) const {
  const TimePoint now = call.now();
  if (state.pacer_ == nullptr) {
    const Duration left = SaturatingSub(call.latest_start(), now);
    const Pacer::Place place = pacer_->Claim(now, std::min<Duration>(options_.max_wait, left));
    if (!place.taken) {
      const bool late = place.ready_at != TimePoint::max() && left < options_.max_wait;
      const internal::Refusals& refusals = pacer_->refusals();
      return Verdict::Reject(late ? refusals.deadline : refusals.exhausted, place.ready_at);
    }
    if (place.ready_at <= now) return Verdict::Proceed();
    state.place_ = place;
    state.pacer_ = pacer_.get();
  }
  if (now < state.place_.ready_at) return Verdict::Wait(state.place_.ready_at);
  state.pacer_ = nullptr;  // acted on: nothing to give back
  return Verdict::Proceed();
}

PolicyFacts Pace::Facts() const {
  return {.settings = internal::JoinSettings(
              {internal::NameText(pacer_->name()), internal::RateText(pacer_->rate()),
               absl::StrCat("slack ", pacer_->slack()), internal::MaxWaitText(options_.max_wait)}),
          .max_wait = options_.max_wait};
}

}  // namespace holdfast
