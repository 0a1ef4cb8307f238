// Stack::AroundAsync puts a stack around an asynchronous executor; what it returns is an
// asynchronous operation of Asio, started with any completion token.
//
//   auto stack = holdfast::Stack(holdfast::Retry({}), holdfast::Timeout(2s));
//   auto fetch = stack.AroundAsync([&](const Request& request) -> asio::awaitable<Reply> {
//     co_return co_await server.Ask(request);
//   });
//   Reply reply = co_await fetch(request, asio::use_awaitable);
#ifndef HOLDFAST_ASIO_AROUND_H_
#define HOLDFAST_ASIO_AROUND_H_

#include <concepts>
#include <exception>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

#include "holdfast/asio/config.h"
#include "holdfast/asio/internal/executor.h"
#include "holdfast/asio/internal/operation.h"
#include "holdfast/base/timer.h"
#include "holdfast/call/call.h"
#include "holdfast/driver/fork.h"
#include "holdfast/stack/stack.h"

namespace holdfast {

// An asynchronous executor with a stack around it. The executor is a callable that either
//   takes the call's arguments and a completion token, as any asynchronous operation of Asio, and
//   completes with a type that has ResultTraits, with an error_code (absl::Status) or with an
//   error_code and values (absl::StatusOr); or
//   takes the arguments and returns asio::awaitable<R>, R with ResultTraits.
// A std::system_error (Boost's, over Boost) that it throws, or completes with as an exception, is a
// result as an error_code is. What else it throws is none, unless it is in Catching (catching.h):
// then it may complete with anything, which need be default-constructible to go with an exception.
// Between the arguments and the token it may take a Call&. What another AroundAsync returned is an
// executor, too, and learns the deadline and the key.
//
// A call is started with the arguments, which are copied, and a completion token: a callback, and
// whatever else Asio has (use_awaitable, use_future, deferred, ...). It completes with
// (std::exception_ptr, R), where the exception is one of the executor or of a policy's callback;
// or, for a callback that takes R alone and returns nothing, with R, and an exception then leaves
// the context's run().
//
// In a co_await expression the options may be written in braces, as CallOptions are made for it.
// Make the stack, and arguments that are aggregates with a std::string, a std::shared_ptr or the
// like, in a statement of their own: g++ 12 destroys the members of a temporary aggregate twice
// there.
//
// All of it runs in the executor that is associated with the handler, or else in the one that
// AroundAsync was given, or else in the system's. Attempts are cancelled (terminal cancellation) at
// their deadline, and their end is awaited: a failure is then kDeadlineExceeded. The handler's
// cancellation slot, and CallOptions::stop, stop the call: it completes with kCancelled as soon as
// its attempt does.
//
// Asio allows an operation to be cancelled only from where it runs, and Timeout, Hedge and stop
// requests cancel attempts. In a thread_pool and in the system's executor each call has a strand of
// its own for that, which its attempts run in (with memory of its own). If several threads run an
// io_context, give each call a strand: by net::bind_executor, or by spawning its coroutine in one.
//
// In a child of fork() a context needs Asio's notify_fork(), before the fork and after it on both
// sides; without it, a call that is started there throws std::logic_error. The calls that were
// under way are under way in both processes then: a child that does not want them stops them.
//
// A copy shares everything. Calls may be started in any number of threads at once, as far as the
// executor allows it, and outlive this object, but not the context, which ends them without calling
// their handlers; a clock that was given must outlive that. The memory of a call is one allocation
// from the handler's associated allocator, with room for what the executor's operation allocates
// from the handler it is given; each branch of a policy that forks is another, and so is what
// co_spawn makes for a coroutine.
template <class StackSegment, class Io>
class AsyncDecorated {
 public:
  AsyncDecorated(std::shared_ptr<StackSegment> level, Io io, TimerClock* clock)
      : level_(std::move(level)), io_(std::move(io)), clock_(clock) {}

  template <class... ArgsAndToken>
  auto operator()(ArgsAndToken&&... args) const {
    return With(CallOptions{}, std::forward<ArgsAndToken>(args)...);
  }

  // For a stack around it.
  Clock* StackClock() const { return clock_ == nullptr ? SteadyClock() : clock_; }

  // The same with what the caller has to say about this one call; what `options` point to must
  // outlive it.
  template <class... ArgsAndToken>
  auto With(const CallOptions& options, ArgsAndToken&&... args) const {
    static_assert(sizeof...(args) > 0, "a completion token is the last argument");
    const auto all = std::forward_as_tuple(std::forward<ArgsAndToken>(args)...);
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      using All = std::tuple<ArgsAndToken&&...>;
      return Initiate(
          options,
          static_cast<std::tuple_element_t<sizeof...(I), All>>(std::get<sizeof...(I)>(all)),
          static_cast<std::tuple_element_t<I, All>>(std::get<I>(all))...);
    }(std::make_index_sequence<sizeof...(args) - 1>());
  }

  // For a stack around this one.
  TimeBelow TimeBelowAt(TimePoint now) const {
    return internal::BoundedBy(level_->policies, 0, now, internal::TimeIn(level_->executor, now));
  }

 private:
  struct Initiation {
    using executor_type = Io;
    executor_type get_executor() const noexcept { return io; }

    template <class Handler, class... Args>
    void operator()(Handler&& handler, CallOptions options, Args&&... args) const {
      using ThisOperation =
          internal::Operation<StackSegment, std::decay_t<Handler>, Io, std::decay_t<Args>...>;
      ThisOperation::Start(level, clock, io, std::move(options), std::forward<Handler>(handler),
                           std::forward<Args>(args)...);
    }

    std::shared_ptr<StackSegment> level;
    Io io;
    TimerClock* clock;
  };

  // Of a callback, which returns nothing. Asio's `deferred` can be called with anything, and does.
  template <class Token, class... Result>
  static consteval bool TakesResultAlone() {
    if constexpr (!std::is_invocable_v<Token, Result...>) {
      return false;
    } else {
      return std::is_void_v<std::invoke_result_t<Token, Result...>> &&
             !std::is_invocable_v<Token, std::exception_ptr, Result...>;
    }
  }
  template <class Token, class T>
  static consteval bool Alone() {
    if constexpr (std::is_void_v<T>) {
      return TakesResultAlone<Token>();
    } else {
      return TakesResultAlone<Token, T>();
    }
  }

  template <class Token, class... Args>
  auto Initiate(const CallOptions& options, Token&& token, Args&&... args) const {
    using R = typename internal::AsyncAttempt<decltype(StackSegment::executor),
                                              const std::decay_t<Args>&...>::R;
    static_assert(
        HasResultTraits<R>,
        "specialise holdfast::ResultTraits for what the executor completes with, or put it "
        "in holdfast::Catching");
    using T = internal::ResultFor<std::decay_t<Token>, R>;
    using Signatures = internal::SignatureFor<T>;
    using Signature = std::conditional_t<Alone<std::decay_t<Token>, T>(),
                                         typename Signatures::Alone, typename Signatures::type>;
    return net::async_initiate<Token, Signature>(Initiation{level_, io_, clock_}, token, options,
                                                 std::forward<Args>(args)...);
  }

  std::shared_ptr<StackSegment> level_;
  Io io_;
  TimerClock* clock_;
};

namespace internal {

// Stack::AroundAsync.
template <class Policies, class Executor, class Io>
  requires net::execution::is_executor<Io>::value
auto DecorateAsync(StackSegment<Policies, Executor> level, Io io, TimerClock* clock = nullptr) {
  using ThisLevel = StackSegment<Policies, Executor>;
  return AsyncDecorated<ThisLevel, Io>(std::make_shared<ThisLevel>(std::move(level)), std::move(io),
                                       clock);
}
template <class Policies, class Executor, std::derived_from<net::execution_context> Context>
auto DecorateAsync(StackSegment<Policies, Executor> level, Context& io,
                   TimerClock* clock = nullptr) {
  return DecorateAsync(std::move(level), io.get_executor(), clock);
}
template <class Policies, class Executor>
auto DecorateAsync(StackSegment<Policies, Executor> level, TimerClock* clock = nullptr) {
  return DecorateAsync(std::move(level), net::system_executor(), clock);
}

}  // namespace internal
}  // namespace holdfast

#endif  // HOLDFAST_ASIO_AROUND_H_
