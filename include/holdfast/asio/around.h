// Stack::AroundAsync puts a stack around an asynchronous executor. The result is an asynchronous
// operation of Asio that any completion token starts.
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

// An asynchronous executor with a stack around it.
//
// Executors. The executor is a callable that does one of the following:
//   - It takes the call's arguments and a completion token, as any asynchronous operation of Asio.
//     It completes with a type that has ResultTraits, with an error_code (which becomes an
//     absl::Status), or with an error_code and values (absl::StatusOr).
//   - It takes the arguments and returns asio::awaitable<R>, where R has ResultTraits.
// Between the arguments and the token it may take a Call&. The callable that another AroundAsync
// returned is an executor too, and receives the deadline and the key of the call.
// A std::system_error (Boost's, over Boost) that the executor throws, or completes with, is a
// result like an error_code. Any other exception is not a result, unless the executor is in
// Catching (stack/catching.h). Such an executor may complete with any type, which must be
// default-constructible, because Asio passes a value beside an exception.
//
// Starting a call. A call is started with the arguments, which are copied, and a completion token:
// a callback, use_awaitable, use_future, deferred and so on. It completes with (std::exception_ptr,
// R), where the exception is one of the executor or of a policy's callback. A callback that takes R
// alone and returns nothing gets R; an exception then leaves the context's run().
//
// In a co_await expression the options may be written in braces. Make the stack, and arguments that
// are aggregates with a std::string, a std::shared_ptr or the like, in a statement of their own:
// g++ 12 destroys the members of a temporary aggregate twice in such an expression.
//
// Where it runs. Everything runs in the executor that is associated with the handler; without one,
// in the executor that AroundAsync was given; without that, in the system executor. At its deadline
// an attempt is cancelled (terminal cancellation), and its end is awaited; a failure is then
// kDeadlineExceeded. The handler's cancellation slot and CallOptions::stop stop the call: it
// completes with kCancelled as soon as its attempt ends.
//
// Threads. Asio allows an operation to be cancelled only from where it runs, and Timeout, Hedge and
// stop requests cancel attempts. In a thread_pool and in the system executor each call therefore
// has its own strand, which allocates its own memory and in which its attempts run. If several
// threads run an io_context, give each call a strand: use net::bind_executor, or spawn the
// coroutine in a strand.
//
// fork(). A context needs Asio's notify_fork() before the fork, and after it on both sides; without
// it, a call that starts in the child throws std::logic_error. Calls that were running are then
// running in both processes; a child that does not want them stops them.
//
// Lifetime and cost. Copies share everything. Calls may be started in any number of threads at
// once, as far as the executor allows it. They may outlive this object but not the context, which
// ends them without calling their handlers; a clock that was given must outlive the calls. A call
// is one allocation from the handler's associated allocator, with room for what the executor's
// operation allocates from its handler. Each branch of a forking policy is another allocation, and
// so is what co_spawn makes for a coroutine.
template <class StackSegment, class Io>
class AsyncDecorated {
 public:
  AsyncDecorated(std::shared_ptr<StackSegment> level, Io io, TimerClock* clock)
      : level_(std::move(level)), io_(std::move(io)), clock_(clock) {}

  template <class... ArgsAndToken>
  auto operator()(ArgsAndToken&&... args) const {
    return With(CallOptions{}, std::forward<ArgsAndToken>(args)...);
  }

  // The clock of the policies, for a stack around this one.
  Clock* StackClock() const { return clock_ == nullptr ? SteadyClock() : clock_; }

  // The same with options for this call. What `options` refers to must outlive the call.
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

  // How long a call may take from `now` on, for a stack around this one.
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

  // Only for a callback that returns nothing: Asio's `deferred` can be called with anything.
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
        "specialize holdfast::ResultTraits for what the executor completes with, or put it "
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

// Stack::AroundAsync looks for this one, to see whether this header is included.
template <class Policies, class Executor>
void AsyncDriver(const StackSegment<Policies, Executor>&);

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
