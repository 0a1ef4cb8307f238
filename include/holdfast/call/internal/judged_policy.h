// What the policies have in common that count how the calls through them went: CircuitBreak,
// KeyedCircuitBreak, AdaptiveThrottle, AdaptiveLimit.
#ifndef HOLDFAST_CALL_INTERNAL_JUDGED_POLICY_H_
#define HOLDFAST_CALL_INTERNAL_JUDGED_POLICY_H_

#include <absl/base/attributes.h>
#include <absl/base/optimization.h>
#include <absl/status/status.h>

#include <concepts>
#include <type_traits>
#include <utility>

#include "holdfast/base/internal/success_times.h"
#include "holdfast/base/result.h"
#include "holdfast/call/call.h"
#include "holdfast/call/outcome.h"
#include "holdfast/call/verdict.h"

namespace holdfast::internal {

// Reads how a call went from its status.
struct ClassifyStatus {};

// Whether a call that failed, as it ran out of time or threw, says nothing of the service, because
// its caller cut it off early. To a policy the caller is everything outside of it: the deadline of
// CallOptions and each Timeout there. It cut the attempt off early if that had less time than the
// Timeout inside would have given it or, where there is none inside, than the slowest tenth of
// recent successes took; while there were none, it had enough.
bool CutOffEarly(Call& call, const SuccessTimes& recent);

// For a success: SuccessTimes is needed where a caller may cut off what no Timeout inside does.
void TimeSuccess(Call& call, SuccessTimes& recent);

// An Admission is the state of one call. Its judge() is the policy object that counts the call, and
// that has a `Classify(status)` for who brings no classifier; null where the call is not counted.
// success_times() are those of the judge. Settle(outcome) counts the call.
template <class Classify, class Admission>
class JudgedPolicy {
 public:
  static constexpr bool kJudgesBelow = true;  // see policy.h

  template <class R>
  ABSL_ATTRIBUTE_ALWAYS_INLINE Next After(Call& call, Admission& state, R& result) {
    if (state.judge() != nullptr) state.Settle(OutcomeOf(call, state, result));
    return Next::Done();
  }

 protected:
  explicit JudgedPolicy(Classify classify) : classify_(std::move(classify)) {}

 private:
  template <class R>
  ABSL_ATTRIBUTE_ALWAYS_INLINE Outcome OutcomeOf(Call& call, Admission& state, const R& result) {
    if (call.rejected()) return Outcome::kIgnored;
    const absl::Status& status = ResultTraits<R>::StatusOf(result);
    if (ABSL_PREDICT_FALSE(!status.ok()) && SaysNothing(call, status, state)) {
      return Outcome::kIgnored;
    }
    const Outcome outcome = Classified(call, state, status, result);
    if (outcome == Outcome::kSuccess && call.deadline() != TimePoint::max() &&
        ABSL_PREDICT_FALSE(state.success_times().Wants(call.attempt_began()))) {
      TimeSuccess(call, state.success_times());
    }
    return outcome;
  }

  template <class R>
  ABSL_ATTRIBUTE_ALWAYS_INLINE Outcome Classified(const Call& call, const Admission& state,
                                                  const absl::Status& status, const R& result) {
    if constexpr (std::same_as<Classify, ClassifyStatus>) {
      return state.judge()->Classify(status);
    } else {
      static_assert(std::is_invocable_r_v<Outcome, Classify&, const Call&, const R&>,
                    "a classifier is called as Outcome(const Call&, const R&)");
      return classify_(call, result);
    }
  }

  // What its caller stopped or cut off: no classifier is to take that for a failure.
  static bool SaysNothing(Call& call, const absl::Status& status, const Admission& state) {
    if (absl::IsCancelled(status)) return call.stop().stop_requested();
    return absl::IsDeadlineExceeded(status) && CutOffEarly(call, state.success_times());
  }

  [[no_unique_address]] Classify classify_;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_CALL_INTERNAL_JUDGED_POLICY_H_
