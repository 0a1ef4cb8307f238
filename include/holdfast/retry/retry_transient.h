// RetryTransient is the default check of Retry: it retries transient failures.
//
//   const holdfast::Retry retry({}, holdfast::RetryTransient());  // the same as Retry({})
//   auto fetch = holdfast::Stack(retry).Around(transport);
#ifndef HOLDFAST_RETRY_RETRY_TRANSIENT_H_
#define HOLDFAST_RETRY_RETRY_TRANSIENT_H_

#include <concepts>

#include "holdfast/base/result.h"
#include "holdfast/call/call.h"
#include "holdfast/call/internal/rerun.h"
#include "holdfast/call/repeatability.h"
#include "holdfast/call/retry_decision.h"

namespace holdfast {

// Retries a result that is transient and whose request may be repeated. A result is transient:
// - as ResultTraits<R>::IsTransient(call, result) says, which returns a RetryDecision or a bool and
//   decides alone, also about whether the request may be repeated; or else
// - as ResultTraits<R>::IsTransient(result) says, which returns a bool; or else
// - as IsTransient(status) says (base/result.h).
// In the last two cases a request that is not idempotent, by its RequestTraits (repeatability.h),
// is retried only where the result shows that the service did not act on it.
struct RetryTransient {
  template <class R>
  auto operator()(const Call& call, const R& result) const {
    if constexpr (requires {
                    {
                      ResultTraits<R>::IsTransient(call, result)
                    } -> std::convertible_to<RetryDecision>;
                  }) {
      return ResultTraits<R>::IsTransient(call, result);
    } else if constexpr (requires {
                           { ResultTraits<R>::IsTransient(result) } -> std::same_as<bool>;
                         }) {
      return ResultTraits<R>::IsTransient(result) && IsIdempotent(call, result);
    } else {
      return IsTransient(ResultTraits<R>::StatusOf(result)) && IsIdempotent(call, result);
    }
  }

 private:
  // False only for a request that is known not to be idempotent, where that matters after `result`.
  template <class R>
  static bool IsIdempotent(const Call& call, const R& result) {
    return internal::MayRunAfter(call, result, false) != Rerun::kNotIdempotent;
  }
};

}  // namespace holdfast

#endif  // HOLDFAST_RETRY_RETRY_TRANSIENT_H_
