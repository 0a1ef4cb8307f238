// NestedRetry is a Retry that is meant to be inside of another one.
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

// It differs from Retry only in that a Stack takes it inside of a Retry, where their attempts
// multiply: three of two are six. Give both the same budget.
template <class... T>
class NestedRetry : public Retry<T...> {
 public:
  static constexpr bool kNested = true;  // see policy.h

  // As Retry's.
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
