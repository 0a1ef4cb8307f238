// Whether a call may be run again after what came of it.
#ifndef HOLDFAST_CALL_INTERNAL_RERUN_H_
#define HOLDFAST_CALL_INTERNAL_RERUN_H_

#include <absl/status/status.h>

#include <concepts>
#include <optional>

#include "holdfast/base/rejection.h"
#include "holdfast/base/result.h"
#include "holdfast/call/call.h"
#include "holdfast/call/repeatability.h"

namespace holdfast {

namespace internal {

// What the run that gave `result` can have done; what a policy refused has done nothing.
template <class R>
Effect EffectOf(const Call& call, const absl::Status& status, const R& result) {
  if (call.rejected() || RejectionOf(status)) return Effect::kNone;
  if constexpr (requires {
                  { ResultTraits<R>::EffectOf(call, result) } -> std::same_as<Effect>;
                }) {
    return ResultTraits<R>::EffectOf(call, result);
  } else {
    return Effect::kUnknown;
  }
}

// `idempotent`: whatever the request says of that.
template <class R>
Rerun MayRunAfter(const Call& call, const R& result, bool idempotent) {
  std::optional<Repeatability> request = call.repeatability();
  if (!request) return Rerun::kMay;
  request->idempotent |= idempotent;
  return MayRunAgain(*request, EffectOf(call, ResultTraits<R>::StatusOf(result), result));
}

}  // namespace internal

}  // namespace holdfast

#endif  // HOLDFAST_CALL_INTERNAL_RERUN_H_
