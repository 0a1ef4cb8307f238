// AnyAsyncExecutor is a type-erased asynchronous executor, with a stack around it or without, for
// use as a member, a parameter or an element of a container.
//
//   holdfast::AnyAsyncExecutor<Reply(const Request&)> fetch =
//       holdfast::Stack(holdfast::Retry({})).AroundAsync([&](const Request& r) {
//         return server.Ask(r);
//       });
//   Reply reply = co_await fetch(request, asio::use_awaitable);
#ifndef HOLDFAST_ASIO_ANY_ASYNC_EXECUTOR_H_
#define HOLDFAST_ASIO_ANY_ASYNC_EXECUTOR_H_

#include <concepts>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "holdfast/asio/around.h"
#include "holdfast/asio/config.h"
#include "holdfast/asio/internal/any_handler.h"
#include "holdfast/asio/internal/executor.h"
#include "holdfast/asio/internal/operation.h"
#include "holdfast/base/time.h"
#include "holdfast/call/call.h"
#include "holdfast/call/caught.h"
#include "holdfast/stack/catching.h"
#include "holdfast/stack/stack.h"

namespace holdfast {

template <class Signature>
class AnyAsyncExecutor;

namespace internal {

// How a call keeps an argument that was declared as A.
template <class A>
using KeptArgument =
    std::conditional_t<std::is_lvalue_reference_v<A> &&
                           !std::is_const_v<std::remove_reference_t<A>>,
                       std::reference_wrapper<std::remove_reference_t<A>>, std::decay_t<A>>;

// A callback that takes the result of a call and no exception.
template <class Token, class... Result>
concept TakesResultAlone = std::is_invocable_v<Token, Result...> &&
                           std::is_void_v<std::invoke_result_t<Token, Result...>> &&
                           !std::is_invocable_v<Token, std::exception_ptr, Result...>;
template <class Token, class R>
struct TokenSignature : SignatureFor<R> {
  static constexpr bool kAlone = TakesResultAlone<Token, R>;
};
template <class Token>
struct TokenSignature<Token, void> : SignatureFor<void> {
  static constexpr bool kAlone = TakesResultAlone<Token>;
};

// What an executor tells its caller, by the signature with which it completes; it is held as it is
// if that is the signature of a stack.
template <class Signature>
struct ToldByStack {
  static constexpr bool kIs = false;
};
template <>
struct ToldByStack<void(std::exception_ptr)> {
  static constexpr bool kIs = true;
  using type = void;
};
template <class T>
struct ToldByStack<void(std::exception_ptr, T)> {
  static constexpr bool kIs = true;
  using type = typename ForCaller<std::decay_t<T>>::type;
};

template <class Executor, class... Args>
consteval bool IsStack() {
  if constexpr (!kIsCatching<Executor> && requires(const Executor& e) {
                  { e.StackClock() } -> std::convertible_to<Clock*>;
                }) {
    if constexpr (KindOf<Executor, Args...>() == AsyncKind::kStack) {
      return ToldByStack<typename AsyncSignature<Executor, Args...>::type>::kIs;
    }
  }
  return false;
}

template <class Executor, class... Args>
struct Told {
  using type = typename ForCaller<typename AsyncAttempt<Executor, Args...>::R>::type;
};
template <class Executor, class... Args>
  requires(IsStack<Executor, Args...>())
struct Told<Executor, Args...> : ToldByStack<typename AsyncSignature<Executor, Args...>::type> {};

template <class Executor, class... Args>
consteval bool TakesArguments() {
  if constexpr (kIsCatching<Executor>) {
    using Inner = std::remove_reference_t<decltype(std::declval<Executor&>().executor())>;
    return TakesArguments<Inner, Args...>();
  } else {
    return KindOf<Executor, Args...>() != AsyncKind::kNone;
  }
}

// A function pointer, a std::function and the like.
template <class Executor>
concept MayBeNull = std::is_constructible_v<Executor, std::nullptr_t> &&
                    requires(const Executor& executor) { executor == nullptr; };

// The bytes that the operation of a call takes.
template <class Executor, class Handler, class... Args>
inline constexpr std::size_t kOperationSize = 0;
template <class Segment, class Io, class Handler, class... Args>
inline constexpr std::size_t kOperationSize<AsyncDecorated<Segment, Io>, Handler, Args...> =
    sizeof(Operation<Segment, Handler, Io, Args...>);

}  // namespace internal

// Executors. It holds what AroundAsync returns, another AnyAsyncExecutor, or any executor that
// AroundAsync takes, which it puts in an empty stack: AnyAsyncExecutor(executor, io) holds
// Stack().AroundAsync(executor, io), and so with a clock after `io`. What the executor completes
// with is converted to R. It throws std::invalid_argument for a null pointer or an empty
// std::function. A coroutine is an awaitable whose executor is Asio's default, any_io_executor. The
// Call& of an executor in an empty stack has the deadline and the key of the call, and is at its
// first attempt.
//
// Calls. A call is started as one of what AroundAsync returns, and completes in the same way, with
// (std::exception_ptr, R), where the handler's executor says; it is cancelled by the handler's
// slot. Arguments are converted to those of the signature when the call is started, and kept in it;
// one declared as T& is kept as a reference. R is what the caller gets: for a stack around an
// executor in Catching that is not a Caught, and a stack around this object has to put it in
// Catching itself.
//
// Copies share what they hold, and to move one is to copy it: it is never empty. Calls may outlive
// this object. It can be the executor of another stack, which must have its clock, and whose calls
// it obeys.
//
// Cost. Making one costs an allocation. A call is one allocation, from the handler's associated
// allocator, just as one without the AnyAsyncExecutor, and a few virtual calls. The handler's
// executor becomes an any_io_executor, which has room for that of an io_context or a thread_pool,
// but allocates for a strand.
template <class R, class... Args>
class AnyAsyncExecutor<R(Args...)> {
  template <class A>
  using Kept = internal::KeptArgument<A>;

 public:
  template <class Executor, class... Io>
    requires(!std::same_as<Executor, AnyAsyncExecutor>)
  AnyAsyncExecutor(Executor executor, Io&&... io)  // NOLINT(google-explicit-constructor)
      : model_(Hold(std::move(executor), std::forward<Io>(io)...)) {}
  AnyAsyncExecutor(const AnyAsyncExecutor&) = default;
  AnyAsyncExecutor& operator=(const AnyAsyncExecutor&) = default;
  ~AnyAsyncExecutor() = default;

  // The last argument is a completion token.
  template <class Token>
  auto operator()(Kept<Args>... args, Token&& token) const {
    return With(CallOptions{}, std::move(args)..., std::forward<Token>(token));
  }

  // The same with options for this call. What `options` refers to must outlive the call.
  template <class Token>
  auto With(const CallOptions& options, Kept<Args>... args, Token&& token) const {
    using Signatures = internal::TokenSignature<std::decay_t<Token>, R>;
    using Signature = std::conditional_t<Signatures::kAlone, typename Signatures::Alone,
                                         typename Signatures::type>;
    return net::async_initiate<Token, Signature>(Initiation{model_}, token, options,
                                                 std::move(args)...);
  }

  // For a stack around this one.
  Clock* StackClock() const { return model_->StackClock(); }
  TimeBelow TimeBelowAt(TimePoint now) const { return model_->TimeBelowAt(now); }

 private:
  using Handler = internal::AnyHandler<R>;

  struct Interface {
    virtual ~Interface() = default;
    virtual std::size_t OperationSize() const = 0;
    virtual void Start(const CallOptions& options, Handler handler, Kept<Args>&... args) const = 0;
    virtual Clock* StackClock() const = 0;
    virtual TimeBelow TimeBelowAt(TimePoint now) const = 0;
  };

  // Of an executor without policies an outer stack hears nothing but its result: that it was cut
  // off by the outer stack's deadline is no refusal.
  template <class Executor, bool kHasPolicies>
  struct Model final : Interface {
    explicit Model(Executor e) : executor(std::move(e)) {}
    std::size_t OperationSize() const override {
      return internal::kOperationSize<Executor, Handler, Kept<Args>...>;
    }
    void Start(const CallOptions& options, Handler handler, Kept<Args>&... args) const override {
      CallOptions own = options;
      if constexpr (!kHasPolicies) {
        if (own.outer != nullptr && own.trace == nullptr) {
          own.trace = own.outer->attempt_trace();
          own.trace_is_local = own.outer->traced();
        }
        own.outer = nullptr;
      }
      executor.With(own, std::move(args)..., std::move(handler));
    }
    Clock* StackClock() const override { return executor.StackClock(); }
    TimeBelow TimeBelowAt(TimePoint now) const override { return internal::TimeIn(executor, now); }
    mutable Executor executor;  // shared by all calls, const or not
  };

  struct Initiation {
    template <class H>
    void operator()(H&& handler, const CallOptions& options, Kept<Args>... args) const {
      using Box = internal::HandlerBoxOf<R, std::decay_t<H>>;
      Handler any(Box::Make(std::forward<H>(handler), model, model->OperationSize()));
      model->Start(options, std::move(any), args...);
    }
    std::shared_ptr<const Interface> model;
  };

  template <class Executor, class... Io>
  static std::shared_ptr<const Interface> Hold(Executor executor, Io&&... io) {
    constexpr bool kTakes = internal::TakesArguments<Executor, const Kept<Args>&...>();
    static_assert(kTakes,
                  "what an AnyAsyncExecutor<R(Args...)> holds takes these arguments and a "
                  "completion token (with a Call& between them if it likes), or is a coroutine "
                  "that takes them");
    if constexpr (kTakes) {
      using T = typename internal::Told<Executor, const Kept<Args>&...>::type;
      static_assert(std::convertible_to<T, R>,
                    "what an AnyAsyncExecutor<R(Args...)> holds completes with what converts to R");
      if constexpr (!std::convertible_to<T, R>) {
        return nullptr;
      } else if constexpr (internal::IsStack<Executor, const Kept<Args>&...>()) {
        static_assert(sizeof...(Io) == 0,
                      "a stack has its own context and clock: AroundAsync was given them");
        return std::make_shared<Model<Executor, true>>(std::move(executor));
      } else {
        if constexpr (internal::MayBeNull<Executor>) {
          if (executor == nullptr)
            throw std::invalid_argument("AnyAsyncExecutor: executor is null");
        }
        constexpr bool kHasPolicies =
            internal::KindOf<Executor, const Kept<Args>&...>() == internal::AsyncKind::kStack;
        auto stack = Stack().AroundAsync(std::move(executor), std::forward<Io>(io)...);
        return std::make_shared<Model<decltype(stack), kHasPolicies>>(std::move(stack));
      }
    } else {
      return nullptr;
    }
  }

  std::shared_ptr<const Interface> model_;
};

}  // namespace holdfast

#endif  // HOLDFAST_ASIO_ANY_ASYNC_EXECUTOR_H_
