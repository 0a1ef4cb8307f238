// What the policies have in common that count how the calls through them went: CircuitBreak,
// KeyedCircuitBreak, Throttle.
#ifndef HOLDFAST_INTERNAL_JUDGED_POLICY_H_
#define HOLDFAST_INTERNAL_JUDGED_POLICY_H_

#include <absl/base/attributes.h>
#include <absl/base/optimization.h>
#include <absl/status/status.h>

#include <concepts>
#include <type_traits>
#include <utility>

#include "holdfast/breaker_state.h"
#include "holdfast/call.h"
#include "holdfast/result.h"
#include "holdfast/verdict.h"

namespace holdfast::internal {

// Reads how a call went from its status.
struct ClassifyStatus {};

// An Admission is the state of one call. Its judge() is the policy object that counts the call, and
// that has a `Classify(status)` for who brings no classifier; null where the call is not counted.
// Settle(outcome) counts it.
template <class Classify, class Admission>
class JudgedPolicy {
 public:
  template <class R>
  ABSL_ATTRIBUTE_ALWAYS_INLINE Next After(Call& call, Admission& state, R& result) {
    if (state.judge() != nullptr) state.Settle(OutcomeOf(call, *state.judge(), result));
    return Next::Done();
  }

 protected:
  explicit JudgedPolicy(Classify classify) : classify_(std::move(classify)) {}

 private:
  template <class Judge, class R>
  Outcome OutcomeOf(const Call& call, const Judge& judge, const R& result) {
    if (call.rejected()) return Outcome::kIgnored;
    if constexpr (std::same_as<Classify, ClassifyStatus>) {
      const absl::Status& status = ResultTraits<R>::StatusOf(result);
      return Stopped(call, status) ? Outcome::kIgnored : judge.Classify(status);
    } else {
      if (Stopped(call, ResultTraits<R>::StatusOf(result))) return Outcome::kIgnored;
      static_assert(std::is_invocable_r_v<Outcome, Classify&, const Call&, const R&>,
                    "a classifier is called as Outcome(const Call&, const R&)");
      return classify_(call, result);
    }
  }

  // By its caller: no classifier is to take that for a failure.
  static bool Stopped(const Call& call, const absl::Status& status) {
    return ABSL_PREDICT_FALSE(status.code() == absl::StatusCode::kCancelled) &&
           call.stop().stop_requested();
  }

  [[no_unique_address]] Classify classify_;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_INTERNAL_JUDGED_POLICY_H_
