// What an asynchronous executor is: an operation of Asio, a coroutine, or what AroundAsync returns;
// how to start one, and what its completion means as a result.
#ifndef HOLDFAST_ASIO_INTERNAL_EXECUTOR_H_
#define HOLDFAST_ASIO_INTERNAL_EXECUTOR_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <concepts>
#include <exception>
#include <functional>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "holdfast/asio/config.h"
#include "holdfast/asio/status.h"
#include "holdfast/base/result.h"
#include "holdfast/call/call.h"
#include "holdfast/call/caught.h"
#include "holdfast/driver/fork.h"
#include "holdfast/stack/catching.h"

namespace holdfast::internal {

// Where an operation runs: in its handler's executor, unless that is of no context, or a future's,
// which runs things where they happen (and says so nowhere else than in its type).
template <class Executor>
inline constexpr bool kIsFutures = false;
template <class T, class Blocking>
inline constexpr bool kIsFutures<net::detail::promise_executor<T, Blocking>> = true;
template <class Executor>
consteval bool HasContext() {
  return net::can_query_v<Executor, net::execution::context_t> && !kIsFutures<Executor>;
}
template <class Handler, class Io>
inline constexpr bool kHasContext = HasContext<net::associated_executor_t<Handler, Io>>();
template <class Handler, class Io>
using ContextExecutor =
    std::conditional_t<kHasContext<Handler, Io>, net::associated_executor_t<Handler, Io>, Io>;
template <class Handler, class Io>
ContextExecutor<Handler, Io> ContextExecutorOf(const Handler& handler, const Io& io) {
  if constexpr (kHasContext<Handler, Io>) {
    return net::get_associated_executor(handler, io);
  } else {
    return io;
  }
}

// A call cancels its attempts, which Asio allows only from where those run. So in a context that
// has several threads of its own each call has a strand.
template <class Executor>
using ContextOf = std::remove_cvref_t<decltype(net::query(std::declval<const Executor&>(),
                                                          net::execution::context))>;
template <class Executor>
inline constexpr bool kHasThreads = std::is_same_v<ContextOf<Executor>, net::system_context> ||
                                    std::is_same_v<ContextOf<Executor>, net::thread_pool>;
template <class Executor>
inline constexpr bool kIsStrand = requires(const Executor& e) { e.get_inner_executor(); };
template <class Executor>
inline constexpr bool kNeedsStrand = kHasThreads<Executor> && !kIsStrand<Executor>;

template <class Handler, class Io>
using OperationExecutor =
    std::conditional_t<kNeedsStrand<ContextExecutor<Handler, Io>>,
                       net::strand<ContextExecutor<Handler, Io>>, ContextExecutor<Handler, Io>>;
template <class Handler, class Io>
OperationExecutor<Handler, Io> ExecutorOf(const Handler& handler, const Io& io) {
  if constexpr (kNeedsStrand<ContextExecutor<Handler, Io>>) {
    return net::make_strand(ContextExecutorOf(handler, io));
  } else {
    return ContextExecutorOf(handler, io);
  }
}

// A completion token that starts nothing: an operation "started" with it returns the type of its
// completion signature. Only ever used unevaluated.
struct Probe {
  using TakesCaught = void;
};
template <class... Signatures>
struct CompletesWith {};

// A handler of Holdfast's own, to which a stack hands on what was caught.
template <class Handler>
inline constexpr bool kTakesCaught = requires { typename Handler::TakesCaught; };

// What a handler is told of an R.
template <class Handler, class R>
using ResultFor = std::conditional_t<kTakesCaught<Handler>, R, typename ForCaller<R>::type>;

// The signature to tell it by, and that of a handler that takes the result alone.
template <class T>
struct SignatureFor {
  using type = void(std::exception_ptr, T);
  using Alone = void(T);
};
template <>
struct SignatureFor<void> {
  using type = void(std::exception_ptr);
  using Alone = void();
};

// What the completion of an attempt comes to: a result, or an exception.
template <class R>
struct Ending {
  using Result = R;
  std::exception_ptr error;
  std::optional<R> result;
};

template <class R>
Ending<R> Ended(R result) {
  return {.error = nullptr, .result = std::move(result)};
}

// Reads a completion of each signature that is understood.
template <class Signature>
struct Completion;
template <>
struct Completion<void()> {
  using R = absl::Status;
  static Ending<R> Read() { return Ended(absl::OkStatus()); }
};
template <class T>
  requires(HasResultTraits<std::decay_t<T>> && !std::same_as<std::decay_t<T>, ErrorCode>)
struct Completion<void(T)> {
  using R = std::decay_t<T>;
  static Ending<R> Read(T result) { return Ended(R(std::move(result))); }
};
template <class E>
  requires std::same_as<std::decay_t<E>, ErrorCode>
struct Completion<void(E)> {
  using R = absl::Status;
  static Ending<R> Read(const ErrorCode& error) { return Ended(StatusOf(error)); }
};
template <class E, class... T>
  requires(std::same_as<std::decay_t<E>, ErrorCode> && sizeof...(T) > 0)
struct Completion<void(E, T...)> {
  using Value =
      std::conditional_t<sizeof...(T) == 1, std::tuple_element_t<0, std::tuple<std::decay_t<T>...>>,
                         std::tuple<std::decay_t<T>...>>;
  using R = absl::StatusOr<Value>;
  static Ending<R> Read(const ErrorCode& error, T... values) {
    if (error) return Ended(R(StatusOf(error)));
    return Ended(R(Value(std::move(values)...)));
  }
};
// A system_error that was thrown is what an error_code is.
template <class R>
Ending<R> EndedBy(const std::exception_ptr& error) {
  if constexpr (!kIsCaught<R>) {
    if (auto status = StatusOfSystemError(error)) {
      return Ended(R(ResultTraits<R>::FromStatus(*std::move(status))));
    }
  }
  return {.error = error, .result = std::nullopt};
}
template <class E>
  requires std::same_as<std::decay_t<E>, std::exception_ptr>
struct Completion<void(E)> {
  using R = absl::Status;
  static Ending<R> Read(const std::exception_ptr& error) {
    return error != nullptr ? EndedBy<R>(error) : Ended(absl::OkStatus());
  }
};
template <class E, class T>
  requires(std::same_as<std::decay_t<E>, std::exception_ptr> && HasResultTraits<std::decay_t<T>>)
struct Completion<void(E, T)> {
  using R = std::decay_t<T>;
  static Ending<R> Read(const std::exception_ptr& error, T result) {
    return error != nullptr ? EndedBy<R>(error) : Ended(R(std::move(result)));
  }
};

// The same of an executor in Catching: what it completes with may be anything.
template <class Signature>
struct CaughtCompletion;
template <>
struct CaughtCompletion<void()> {
  using R = Caught<void>;
  static Ending<R> Read(auto&) { return Ended(R()); }
};
template <class T>
struct CaughtCompletion<void(T)> {
  using R = Caught<std::decay_t<T>>;
  static Ending<R> Read(auto&, T result) { return Ended(R(std::move(result))); }
};
template <class E, class... T>
  requires std::same_as<std::decay_t<E>, ErrorCode>
struct CaughtCompletion<void(E, T...)> {
  using Plain = Completion<void(E, T...)>;
  using R = Caught<typename Plain::R>;
  static Ending<R> Read(auto&, const ErrorCode& error, T... values) {
    return Ended(R(*Plain::Read(error, std::move(values)...).result));
  }
};
template <class T>
auto CaughtError(auto& catching, const std::exception_ptr& error) {
  return Ended(catching.template Thrown<T>(error, StatusOfSystemError(error)));
}
template <class E>
  requires std::same_as<std::decay_t<E>, std::exception_ptr>
struct CaughtCompletion<void(E)> {
  using R = Caught<void>;
  static Ending<R> Read(auto& catching, const std::exception_ptr& error) {
    return error != nullptr ? CaughtError<void>(catching, error) : Ended(R());
  }
};
template <class E, class T>
  requires std::same_as<std::decay_t<E>, std::exception_ptr>
struct CaughtCompletion<void(E, T)> {
  using Value = typename ForCaller<std::decay_t<T>>::type;
  using R = Caught<Value>;
  static Ending<R> Read(auto& catching, std::exception_ptr error, T result) {
    if constexpr (kIsCaught<std::decay_t<T>>) {
      // Of a stack, whose classifiers are not these.
      if (error == nullptr && result.exception() == nullptr) return Ended(std::move(result));
      if (error == nullptr) error = result.exception();
      return CaughtError<Value>(catching, error);
    } else {
      return error != nullptr ? CaughtError<Value>(catching, error) : Ended(R(std::move(result)));
    }
  }
};

template <class T>
struct AwaitableOf;
template <class T, class Executor>
struct AwaitableOf<net::awaitable<T, Executor>> {
  using Signature = void(std::exception_ptr, T);
};
template <class Executor>
struct AwaitableOf<net::awaitable<void, Executor>> {
  using Signature = void(std::exception_ptr);
};

template <class T>
struct SignatureOf;
template <class Signature>
struct SignatureOf<CompletesWith<Signature>> {
  using type = Signature;
};

enum class AsyncKind { kStack, kOperation, kOperationOfCall, kCoroutine, kCoroutineOfCall, kNone };

// In the order in which they can be told apart without instantiating one as what it is not.
template <class Executor, class... Args>
consteval AsyncKind KindOf() {
  if constexpr (requires(Executor& e, CallOptions o, Args... a) { e.With(o, a..., Probe{}); }) {
    return AsyncKind::kStack;
  } else if constexpr (!TakesCall<Executor> && std::is_invocable_v<Executor&, Args..., Probe>) {
    return AsyncKind::kOperation;
  } else if constexpr (std::is_invocable_v<Executor&, Args..., Call&, Probe>) {
    return AsyncKind::kOperationOfCall;
  } else if constexpr (!TakesCall<Executor> && std::is_invocable_v<Executor&, Args...>) {
    return AsyncKind::kCoroutine;
  } else if constexpr (std::is_invocable_v<Executor&, Args..., Call&>) {
    return AsyncKind::kCoroutineOfCall;
  } else {
    return AsyncKind::kNone;
  }
}

// Runs a coroutine with arguments that live as long as the attempt. It begins later than it is
// called, and what an argument was converted to for it has to live until it ends.
template <class Io, class Token, class Executor, class... Args>
decltype(auto) Spawn(const Io& io, Token&& token, Executor& executor, Args&... args) {
  if constexpr (sizeof...(Args) == 0) {
    return net::co_spawn(io, std::invoke(executor), std::forward<Token>(token));
  } else {
    using Awaitable = std::remove_cvref_t<std::invoke_result_t<Executor&, Args&...>>;
    return net::co_spawn(
        io,
        [&executor, &args...]() -> Awaitable {
          if constexpr (requires { executor(args...); }) {
            co_return co_await executor(args...);  // not by invoke, which would end temporaries
          } else {
            co_return co_await std::invoke(executor, args...);
          }
        },
        std::forward<Token>(token));
  }
}

// Starts an attempt, of which `token` learns the end; `io` is where a coroutine runs.
template <class... Args, class Executor, class Io, class Token>
decltype(auto) StartAttempt(Executor& executor, const CallOptions& options, Call& call,
                            const Io& io, Token&& token, Args... args) {
  if constexpr (kIsCatching<Executor>) {
    return StartAttempt<Args...>(executor.executor(), options, call, io, std::forward<Token>(token),
                                 args...);
  } else {
    constexpr AsyncKind kKind = KindOf<Executor, Args...>();
    static_assert(
        kKind != AsyncKind::kNone || KindOf<Executor, std::decay_t<Args>...>() == AsyncKind::kNone,
        "every attempt needs the arguments, so they are never moved from: take one that "
        "can't be copied by const reference, or in a std::shared_ptr");
    static_assert(kKind != AsyncKind::kNone,
                  "the executor takes these arguments and a completion token (with a Call& between "
                  "them if it likes), or is a coroutine that takes them");
    if constexpr (kKind == AsyncKind::kStack) {
      return executor.With(options, args..., std::forward<Token>(token));
    } else if constexpr (kKind == AsyncKind::kOperation) {
      return std::invoke(executor, args..., std::forward<Token>(token));
    } else if constexpr (kKind == AsyncKind::kOperationOfCall) {
      return std::invoke(executor, args..., call, std::forward<Token>(token));
    } else if constexpr (kKind == AsyncKind::kCoroutineOfCall) {
      return Spawn(io, std::forward<Token>(token), executor, args..., call);
    } else if constexpr (kKind == AsyncKind::kCoroutine) {
      return Spawn(io, std::forward<Token>(token), executor, args...);
    }
  }
}

// What an executor completes with.
template <class Executor, class... Args>
struct AsyncSignature {
  template <AsyncKind kKind>
  static auto Find() {
    if constexpr (kKind == AsyncKind::kCoroutineOfCall) {
      return std::type_identity<typename AwaitableOf<
          std::remove_cvref_t<std::invoke_result_t<Executor&, Args..., Call&>>>::Signature>{};
    } else if constexpr (kKind == AsyncKind::kCoroutine) {
      return std::type_identity<typename AwaitableOf<
          std::remove_cvref_t<std::invoke_result_t<Executor&, Args...>>>::Signature>{};
    } else {
      return std::type_identity<
          typename SignatureOf<std::remove_cvref_t<decltype(StartAttempt<Args...>(
              std::declval<Executor&>(), std::declval<const CallOptions&>(), std::declval<Call&>(),
              std::declval<const net::any_io_executor&>(), Probe{}, std::declval<Args>()...))>>::
              type>{};
    }
  }
  using type = typename decltype(Find<KindOf<Executor, Args...>()>())::type;
};

// What it comes to.
template <class Executor, class... Args>
struct AsyncAttempt {
  using Completes = Completion<typename AsyncSignature<Executor, Args...>::type>;
  using R = typename Completes::R;
  static Ending<R> Read(Executor&, auto&&... results) {
    return Completes::Read(std::forward<decltype(results)>(results)...);
  }
};
template <class Executor, class... Classify, class... Args>
struct AsyncAttempt<Catching<Executor, Classify...>, Args...> {
  using Completes = CaughtCompletion<typename AsyncSignature<Executor, Args...>::type>;
  using R = typename Completes::R;
  static Ending<R> Read(Catching<Executor, Classify...>& catching, auto&&... results) {
    return Completes::Read(catching, std::forward<decltype(results)>(results)...);
  }
};
// A branch gets the same arguments.
template <class Fork, class Policies, class Executor, class... Args>
struct AsyncAttempt<ParallelAttempts<Fork, Policies, Executor>, Args...> {
  using R = typename AsyncAttempt<Executor, Args...>::R;
};

}  // namespace holdfast::internal

#ifdef HOLDFAST_BOOST_ASIO
namespace boost::asio {
#else
namespace asio {
#endif

template <class... Signatures>
class async_result<holdfast::internal::Probe, Signatures...> {
 public:
  template <class Initiation, class... Args>
  static holdfast::internal::CompletesWith<Signatures...> initiate(Initiation&&,
                                                                   holdfast::internal::Probe,
                                                                   Args&&...) {
    return {};
  }
};
}

#endif  // HOLDFAST_ASIO_INTERNAL_EXECUTOR_H_
