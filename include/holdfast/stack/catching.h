// Catching turns an exception of an executor into a result, so that a stack can retry it, count it
// and report it. The caller gets the value that the executor returned or, if the last attempt
// threw, that exception.
//
//   auto count = holdfast::Stack(holdfast::Retry({}), holdfast::Timeout(2s))
//                    .Around(holdfast::Catching(query, holdfast::RetryOn<DbBusy>()));
//   int rows = count("select 1");
//
//   auto classify = [](const DbError& error) {
//     return error.busy() ? absl::UnavailableError("busy") : absl::InternalError(error.what());
//   };
//   auto ask = holdfast::Stack(holdfast::Retry({})).Around(holdfast::Catching(query, classify));
#ifndef HOLDFAST_STACK_CATCHING_H_
#define HOLDFAST_STACK_CATCHING_H_

#include <absl/status/status.h>
#include <absl/strings/string_view.h>
#include <cxxabi.h>

#include <concepts>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "holdfast/base/error.h"
#include "holdfast/base/time.h"
#include "holdfast/call/call.h"
#include "holdfast/call/caught.h"
#include "holdfast/call/internal/time_below.h"

namespace holdfast {

namespace internal {

// The one parameter that a function or a lambda has.
template <class F>
struct ParameterOf : ParameterOf<decltype(&F::operator())> {};
template <class R, class E>
struct ParameterOf<R (*)(E)> : std::type_identity<E> {};
template <class R, class E>
struct ParameterOf<R (*)(E) noexcept> : std::type_identity<E> {};
template <class R, class C, class E>
struct ParameterOf<R (C::*)(E)> : std::type_identity<E> {};
template <class R, class C, class E>
struct ParameterOf<R (C::*)(E) const> : std::type_identity<E> {};
template <class R, class C, class E>
struct ParameterOf<R (C::*)(E) noexcept> : std::type_identity<E> {};
template <class R, class C, class E>
struct ParameterOf<R (C::*)(E) const noexcept> : std::type_identity<E> {};

// What `classify` says of an exception, if that is of its type; what it throws passes.
template <class Classify>
std::optional<absl::Status> StatusBy(Classify& classify, const std::exception_ptr& error) {
  if constexpr (std::is_invocable_v<Classify&, const std::exception_ptr&>) {
    return std::invoke(classify, error);
  } else {
    using E = std::remove_cvref_t<typename ParameterOf<Classify>::type>;
    static_assert(std::is_invocable_v<Classify&, const E&>,
                  "a classifier takes a const std::exception_ptr&, or exceptions of one type by "
                  "const reference, and returns an absl::Status");
    try {
      std::rethrow_exception(error);
    } catch (const E& e) {
      return std::invoke(classify, e);
    } catch (...) {
      return std::nullopt;
    }
  }
}

}  // namespace internal

// A classifier: exceptions of these types, and of types derived from them, are transient
// (kUnavailable).
template <class... Exceptions>
struct RetryOn {
  std::optional<absl::Status> operator()(const std::exception_ptr& error) const {
    std::optional<absl::Status> status;
    (void)((status = IfOf<Exceptions>(error), status.has_value()) || ...);
    return status;
  }

 private:
  template <class E>
  static std::optional<absl::Status> IfOf(const std::exception_ptr& error) {
    try {
      std::rethrow_exception(error);
    } catch (const E& e) {
      if constexpr (std::derived_from<E, std::exception>) {
        return absl::UnavailableError(e.what());
      } else {
        return absl::UnavailableError("an exception");
      }
    } catch (...) {
      return std::nullopt;
    }
  }
};

// An executor around another one of any kind: blocking, asynchronous (an operation of Asio, or a
// coroutine) or simulated. That one may return any type, void included; a value of a type without
// ResultTraits is a success.
//
// The first classifier that knows an exception gives the status that it means; if none does,
// StatusOfException (error.h) does. kUnavailable, kResourceExhausted, kDeadlineExceeded and
// kAborted are transient: Retry retries them. OK makes the exception a success to every policy. A
// classifier takes either
//   const std::exception_ptr&   and returns an absl::Status, or a std::optional of one that is
//                               nullopt for an exception that it does not know; or
//   const E&                    and returns an absl::Status; it knows E and types derived from it.
// A classifier is called once for each attempt that threw, in every thread that makes calls; an
// exception of its own goes to the caller. An exception costs one throw, one more for each
// classifier, and one to rethrow it at the end; a call that does not throw costs nothing extra.
//
// Where a policy refuses a call, or a deadline cuts it off, and the result type can't hold a
// status, the caller gets a StatusError. A stack that is the executor of another passes on what it
// caught. Anything else between two stacks, such as an AnyExecutor, throws the exception, and has
// to be put in Catching itself.
template <class Executor, class... Classify>
class Catching {
 public:
  static constexpr bool kTakesCall = internal::TakesCall<Executor>;

  explicit Catching(Executor executor, Classify... classify)
      : executor_(std::move(executor)), classify_(std::move(classify)...) {}

  template <class... Args>
    requires std::is_invocable_v<Executor&, Args...>
  auto operator()(Args&&... args) {
    return Catch(
        [&]() -> decltype(auto) { return std::invoke(executor_, std::forward<Args>(args)...); });
  }
  template <class... Args>
    requires requires(Executor& executor, const CallOptions& options, Args&&... args) {
      executor.With(options, std::forward<Args>(args)...);
    }
  auto With(const CallOptions& options, Args&&... args) {
    return Catch(
        [&]() -> decltype(auto) { return executor_.With(options, std::forward<Args>(args)...); });
  }

  // For a stack around this one, where the executor is itself a stack.
  TimeBelow TimeBelowAt(TimePoint now) const
    requires internal::BoundsTime<Executor>
  {
    return executor_.TimeBelowAt(now);
  }

  // For driver authors, where an executor does not return its result: the result for `error`. If no
  // classifier knows it, its status is `otherwise`, or else that of StatusOfException.
  template <class T>
  Caught<T> Thrown(std::exception_ptr error,
                   const std::optional<absl::Status>& otherwise = std::nullopt) {
    std::optional<absl::Status> status;
    std::apply(
        [&](auto&... classify) {
          (void)((status = internal::StatusBy(classify, error), status.has_value()) || ...);
        },
        classify_);
    if (!status) status = otherwise ? *otherwise : StatusOfException(error);
    return Caught<T>(std::move(error), *std::move(status));
  }
  Executor& executor() { return executor_; }

 private:
  template <class F>
  auto Catch(const F& attempt) {
    using T = std::remove_cvref_t<std::invoke_result_t<const F&>>;
    using R = Caught<T>;
    try {
      if constexpr (std::is_void_v<T>) {
        attempt();
        return R();
      } else {
        return R(attempt());
      }
    } catch (const abi::__forced_unwind&) {
      throw;  // the thread is being cancelled
    } catch (...) {
      return Thrown<T>(std::current_exception());
    }
  }

  Executor executor_;
  [[no_unique_address]] std::tuple<Classify...> classify_;
};

namespace internal {

template <class Executor>
inline constexpr bool kIsCatching = false;
template <class Executor, class... Classify>
inline constexpr bool kIsCatching<Catching<Executor, Classify...>> = true;

}  // namespace internal
}  // namespace holdfast

#endif  // HOLDFAST_STACK_CATCHING_H_
