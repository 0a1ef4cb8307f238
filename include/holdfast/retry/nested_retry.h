// NestedRetry is a Retry that a stack allows inside of another Retry.
//
//   auto fetch = holdfast::Stack(holdfast::Retry({.max_attempts = 3, .budget = budget}),
//                                holdfast::Hedge({.delay = 50ms}, holdfast::HedgeAll()),
//                                holdfast::NestedRetry({.max_attempts = 2, .budget = budget}));
#ifndef HOLDFAST_RETRY_NESTED_RETRY_H_
#define HOLDFAST_RETRY_NESTED_RETRY_H_

#include <concepts>
#include <memory>
#include <utility>

#include "holdfast/base/settings.h"
#include "holdfast/retry/retry.h"

namespace holdfast {

// A Retry inside of a Retry does not compile, because their attempts multiply: 3 attempts outside
// and 2 inside are 6. NestedRetry compiles there, and is otherwise the same. Give both the same
// budget, so that it bounds the retries of both together.
template <class... T>
class NestedRetry : public Retry<T...> {
 public:
  static constexpr bool kNested = true;  // see policy.h

  // The same parameters as Retry's.
  explicit NestedRetry(RetryOptions options, T... check_and_prepare)
      : Retry<T...>(std::move(options), std::move(check_and_prepare)...) {}
  template <std::same_as<Settings<RetryOptions>> S>
  explicit NestedRetry(std::shared_ptr<S> settings, T... check_and_prepare)
      : Retry<T...>(std::move(settings), std::move(check_and_prepare)...) {}
};

template <std::same_as<Settings<RetryOptions>> S, class... T>
NestedRetry(std::shared_ptr<S>, T...) -> NestedRetry<T...>;

}  // namespace holdfast

#endif  // HOLDFAST_RETRY_NESTED_RETRY_H_
