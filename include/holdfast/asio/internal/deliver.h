// Calls the caller's handler with what an asynchronous call came to.
#ifndef HOLDFAST_ASIO_INTERNAL_DELIVER_H_
#define HOLDFAST_ASIO_INTERNAL_DELIVER_H_

#include <absl/status/status.h>

#include <exception>
#include <type_traits>
#include <utility>

#include "holdfast/asio/internal/executor.h"
#include "holdfast/base/result.h"
#include "holdfast/call/caught.h"
#include "holdfast/stack/catching.h"

namespace holdfast::internal {

// A handler that takes no exception has it thrown at whoever runs the handler: the context's run().
template <class Handler, class... Result>
void CallHandler(Handler handler, std::exception_ptr error, Result&&... result) {
  if constexpr (std::is_invocable_v<Handler, std::exception_ptr, Result...>) {
    std::move(handler)(std::move(error), std::forward<Result>(result)...);
  } else {
    if (error != nullptr) std::rethrow_exception(std::move(error));
    std::move(handler)(std::forward<Result>(result)...);
  }
}

// Of an R that its handler takes as it is, or that is what a handler's T was Caught in.
template <class R, class Handler>
// A result of void is not moved from. NOLINTNEXTLINE(performance-unnecessary-value-param)
void DeliverResult(Handler handler, std::exception_ptr error, R result) {
  if constexpr (!kIsCaught<R> || kTakesCaught<Handler>) {
    CallHandler(std::move(handler), std::move(error), std::move(result));
  } else {
    using T = typename ForCaller<R>::type;
    if (error == nullptr) error = result.ToThrow();
    if constexpr (std::is_void_v<T>) {
      CallHandler(std::move(handler), std::move(error));
    } else if (error == nullptr) {
      CallHandler(std::move(handler), nullptr, std::move(result).Release());
    } else if constexpr (HasResultTraits<T>) {
      CallHandler(std::move(handler), std::move(error),
                  ResultTraits<T>::FromStatus(absl::UnknownError("the executor threw")));
    } else {
      static_assert(std::is_default_constructible_v<T>,
                    "what an executor in Catching completes with is default-constructible, as Asio "
                    "asks for: a handler is called with an exception and a value");
      CallHandler(std::move(handler), std::move(error), T());
    }
  }
}

}  // namespace holdfast::internal

#endif  // HOLDFAST_ASIO_INTERNAL_DELIVER_H_
