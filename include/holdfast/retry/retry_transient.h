// RetryTransient is the CheckRetry of a Retry that is given none.
//
//   auto fetch = holdfast::Stack(holdfast::Retry({},
//   holdfast::RetryTransient())).Around(transport);
#ifndef HOLDFAST_RETRY_RETRY_TRANSIENT_H_
#define HOLDFAST_RETRY_RETRY_TRANSIENT_H_

#include <concepts>

#include "holdfast/base/result.h"
#include "holdfast/call/call.h"
#include "holdfast/call/internal/rerun.h"
#include "holdfast/call/repeatability.h"
#include "holdfast/call/retry_decision.h"

namespace holdfast {

// Retries what is transient: see IsTransient (result.h), or what ResultTraits<R>'s own, of the call
// and the result or of the result alone, says where a specialisation has one. Answers with a bool,
// or as the first of these does; that one also judges by what the request says of being made twice,
// which for the others is done here: see repeatability.h.
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
  // As far as that matters after this result, and is known.
  template <class R>
  static bool IsIdempotent(const Call& call, const R& result) {
    return internal::MayRunAfter(call, result, false) != Rerun::kNotIdempotent;
  }
};

}  // namespace holdfast

#endif  // HOLDFAST_RETRY_RETRY_TRANSIENT_H_
