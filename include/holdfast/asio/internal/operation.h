// One call in the asynchronous driver: an asynchronous operation of Asio.
#ifndef HOLDFAST_ASIO_INTERNAL_OPERATION_H_
#define HOLDFAST_ASIO_INTERNAL_OPERATION_H_

#include <absl/status/status.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <stop_token>
#include <thread>
#include <tuple>
#include <type_traits>
#include <utility>

#include "holdfast/asio/config.h"
#include "holdfast/asio/internal/async_race.h"
#include "holdfast/asio/internal/deliver.h"
#include "holdfast/asio/internal/event_word.h"
#include "holdfast/asio/internal/executor.h"
#include "holdfast/asio/internal/memory.h"
#include "holdfast/asio/internal/operation_handlers.h"
#include "holdfast/asio/internal/reference.h"
#include "holdfast/asio/internal/timer_service.h"
#include "holdfast/base/result.h"
#include "holdfast/base/time.h"
#include "holdfast/base/timer.h"
#include "holdfast/base/waker.h"
#include "holdfast/call/call.h"
#include "holdfast/call/caught.h"
#include "holdfast/call/report.h"
#include "holdfast/driver/call_task.h"
#include "holdfast/driver/fork.h"
#include "holdfast/stack/catching.h"

namespace holdfast::internal {

class AsyncCall final : public Call {
 public:
  AsyncCall(const CallOptions& options, Clock* clock, Waker& waker)
      : Call(options, clock), waker_(waker) {}

  using Call::ForgetNow;
  using Call::SetExecutor;
  using Call::SetMeter;
  using Call::SetRequest;
  Waker& waker() override { return waker_; }

 private:
  Waker& waker_;
};

// Several threads may report events to it at once: that the attempt ended, or that there is
// something to look at (a timer, a permit, a stop request). Its EventWord decides which of them
// handles them: see event_word.h. So everything but the atomics is used by one thread at a time.
// All of it runs through the handler's executor, except for the start, which completes nothing in
// place.
//
// It lives while somebody refers to it: the attempt's handler, a wake-up that was posted, the
// TimerService of its context. If the context goes away, so do they, and with it every state.
//
// `StackSegment` has the policies and the executor. The handler is called once, with an exception
// or a result, after every state was destroyed and the memory was freed.
template <class StackSegment, class Handler, class Io, class... Args>
class Operation final : public Sleeper {
 public:
  using AttemptExecutor = decltype(StackSegment::executor);
  using Attempt = AsyncAttempt<AttemptExecutor, const Args&...>;
  using R = typename Attempt::R;
  using Executor = OperationExecutor<Handler, Io>;
  using Fallback = HandlerAllocator<Handler>;
  using Rooms = InlineRooms<kIsStrand<Executor>>;
  using Ref = Reference<Operation>;

  template <class... A>
  static void Start(std::shared_ptr<StackSegment> level, TimerClock* clock, const Io& io,
                    CallOptions options, Handler handler, A&&... args) {
    Allocator allocator(AllocatorOf(handler));
    Operation* const memory = Traits::allocate(allocator, 1);
    try {
      ::new (static_cast<void*>(memory)) Operation(std::move(level), clock, io, std::move(options),
                                                   std::move(handler), std::forward<A>(args)...);
    } catch (...) {
      Traits::deallocate(allocator, memory, 1);
      throw;
    }
    Ref self = Ref::Adopt(*memory);
    self->Begin();
    if (self->finished_ || !self->events_.TryRelease()) {
      RunHandler<Operation> run(*self);
      net::post(self->executor(), std::move(run));
    }
  }

  void AddReference() noexcept override { references_.fetch_add(1, std::memory_order_relaxed); }
  void DropReference() noexcept override {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    Allocator allocator(allocator_);
    this->~Operation();
    Traits::deallocate(allocator, this, 1);
  }

  // From any thread: there is something to look at.
  void Wake() noexcept override { timers_.Wake(*this); }

  // What CallTask has its driver do.
  void SetTimer(TimePoint at) {
    timers_.Set(*this, clock_ == nullptr ? at : TimePoint::max());
    if (clock_ != nullptr) clock_->SetTimer(clock_timer_, at);
  }
  void Launch() {
    if constexpr (kIsParallel<AttemptExecutor>) {
      static_assert(CheckWord<decltype(level_->executor.fork), Args...>());
      static_assert(CheckCopies<Args...>());
      race_ = std::make_shared<ThisRace>(level_->executor.below, call_, *this, args_);
      race_->Begin(level_->executor.fork, call_, Sender());
      SetTimer(race_->NextPollAt(call_));
    } else {
      const auto start = [this](const Args&... args) {
        StartAttempt<const Args&...>(level_->executor,
                                     CallOptions{.deadline = call_.deadline(),
                                                 .key = call_.key(),
                                                 .priority = call_.priority(),
                                                 .outer = &call_},
                                     call_, executor(), AttemptHandler<Operation>(*this), args...);
      };
      if constexpr (kIsCatching<AttemptExecutor>) {
        try {
          std::apply(start, args_);
        } catch (...) {
          NotStarted(std::current_exception());
        }
      } else {
        std::apply(start, args_);
      }
    }
  }
  void CancelAttempt(EndReason) {
    if constexpr (!kIsParallel<AttemptExecutor>) {
      cancel_attempt_.emit(net::cancellation_type::terminal);
    }
  }
  // From here on nobody wakes it.
  void Finished(std::exception_ptr error) {
    finished_ = true;
    error_ = std::move(error);
    stop_callback_.reset();
    if (slot_handler_ != nullptr) slot_.clear();
    if (clock_ != nullptr) clock_->CancelTimer(clock_timer_);
    timers_.Cancel(*this);
    if constexpr (kIsParallel<AttemptExecutor>) {
      if (const auto race = std::exchange(race_, nullptr)) race->GiveUp(race);
    }
  }

  // What the handlers of operation_handlers.h use.
  Executor executor() const noexcept { return work_.get_executor(); }
  const Fallback& fallback() const { return allocator_; }
  Rooms& rooms() { return rooms_; }
  net::cancellation_slot attempt_slot() { return cancel_attempt_.slot(); }
  void set_slot_handler(SlotHandler<Operation>* handler) { slot_handler_ = handler; }

  template <class... Results>
  static void AttemptEnded(Ref self, Results&&... results) {
    try {
      self->ended_ = Attempt::Read(self->level_->executor, std::forward<Results>(results)...);
    } catch (...) {
      self->ended_ = {std::current_exception(), std::nullopt};
    }
    Signal(std::move(self), EventWord::kEnded);
  }
  void Lost() {
    lost_.store(true, std::memory_order_release);
    Wake();
  }
  static void WakeArrived(Ref self) {
    self->wake_posted_.exchange(false, std::memory_order_acq_rel);
    Signal(std::move(self), EventWord::kWoken);
  }
  void Stop() {
    stop_.store(true, std::memory_order_release);
    Wake();
  }

  // The owner of the EventWord handles events until none is pending.
  static void Run(Ref self) {
    for (;;) {
      // A wake-up that was posted uses the operation's memory, so its end is awaited.
      if (self->finished_ && !self->wake_posted_.load(std::memory_order_acquire)) {
        return Deliver(std::move(self));
      }
      if (self->events_.TryRelease()) return;
      self->Poll(self->events_.Take());
    }
  }

 private:
  using Allocator = typename std::allocator_traits<Fallback>::template rebind_alloc<Operation>;
  using Traits = std::allocator_traits<Allocator>;
  using ThisRace = typename RaceFor<AttemptExecutor, R, Args...>::type;

  template <class... A>
  Operation(std::shared_ptr<StackSegment> level, TimerClock* clock, const Io& io,
            CallOptions options, Handler handler, A&&... args)
      : level_(std::move(level)),
        clock_(clock),
        options_(std::move(options)),
        args_(std::forward<A>(args)...),
        handler_(std::move(handler)),
        allocator_(AllocatorOf(handler_)),
        slot_(net::get_associated_cancellation_slot(handler_)),
        work_(ExecutorOf(handler_, io)),
        timers_(TimerService::Of(executor())),
        call_(options_, clock, *this),
        flight_(*this, level_->policies, call_) {}

  // Without having finished only with its context.
  ~Operation() override {
    if (finished_) return;
    call_.ForgetNow();
    if (slot_handler_ != nullptr) slot_handler_->Detach();
    if (clock_ != nullptr) clock_->CancelTimer(clock_timer_);
    if constexpr (kIsParallel<AttemptExecutor>) {
      if (race_ != nullptr) race_->Abandon();
    }
  }

  void PostWake() noexcept override {
    if (wake_posted_.exchange(true, std::memory_order_acq_rel)) return;
    net::post(executor(), WakeHandler<Operation>(*this));
  }

  void Begin() {
    std::apply([this](const auto&... args) { call_.SetRequest(args...); }, args_);
    call_.SetExecutor(level_->executor);
    if constexpr (requires { handler_.Enter(call_); }) handler_.Enter(call_);
    call_.SetMeter(*level_->meter, level_->first_policy);
    if (slot_.is_connected()) slot_.template emplace<SlotHandler<Operation>>(*this);
    if (options_.stop.stop_possible())
      stop_callback_.emplace(options_.stop, StopHandler<Operation>{*this});
    flight_.Start();
  }

  // The attempt threw before it began, and its handler was lost with it. The owner sees the end as
  // soon as the start has returned.
  void NotStarted(std::exception_ptr error) {
    ended_ = {nullptr,
              level_->executor.template Thrown<typename ForCaller<R>::type>(std::move(error))};
    lost_.store(false, std::memory_order_relaxed);
    events_.Add(EventWord::kEnded);
  }

  struct SettleAtEnd {
    TimerService& timers;
    ~SettleAtEnd() { timers.Settle(); }
  };

  static void Signal(Ref self, EventWord::Event event) {
    const EventWord::Events seen = self->events_.Raise(event);
    if (seen == 0) return;
    self->Poll(seen);
    Run(std::move(self));
  }

  // The owner only.
  void Poll(EventWord::Events seen) {
    if (finished_) return;
    if ((seen & EventWord::kEnded) != 0) {
      // What the attempt left in it would be of no attempt that is still there.
      cancel_attempt_.slot().clear();
      Ended(std::exchange(ended_, {}));
    } else if (lost_.exchange(false, std::memory_order_acq_rel)) {
      cancel_attempt_.slot().clear();
      Ended({nullptr, ResultTraits<R>::FromStatus(
                          absl::InternalError("the executor destroyed its completion handler"))});
    }
    if (finished_ || (seen & EventWord::kWoken) == 0) return;
    if (!stopped_ && stop_.load(std::memory_order_acquire)) {
      stopped_ = true;
      flight_.Stopped();
    }
    if constexpr (kIsParallel<AttemptExecutor>) {
      if (race_ != nullptr && !finished_) {
        call_.ForgetNow();
        return PollRace<R>(race_, *this, flight_, level_->executor.fork, call_, stopped_, Sender());
      }
    }
    if (!finished_) flight_.Woken();
  }

  void Ended(Ending<R> ending) {
    if (ending.error != nullptr) return flight_.Threw(std::move(ending.error));
    flight_.Completed([&ending]() -> R { return *std::move(ending.result); });
  }

  // Starts a branch, which is an operation with copies of what this one has.
  auto Sender() {
    return [this](typename ThisRace::Branch& branch) {
      using Below = typename AttemptExecutor::Below;
      using ThisHandler = BranchHandler<ThisRace, Executor>;
      std::apply(
          [&](const std::decay_t<Args>&... args) {
            Operation<Below, ThisHandler, Executor, const std::decay_t<Args>&...>::Start(
                race_->below, clock_, executor(), race_->OptionsOf(branch),
                ThisHandler{race_, &branch, executor()}, args...);
          },
          race_->args);
      return true;
    };
  }

  // Hands over the result. The memory is free before the handler is called, so that a handler that
  // starts the next call finds it again.
  static void Deliver(Ref self) {
    // Threads that have told it something have but to let go of it; no handler of this operation is
    // to come. One that an executor kept although it threw may last: that is not waited for.
    for (int i = 0; i < 1000 && self->references_.load(std::memory_order_acquire) != 1; ++i) {
      std::this_thread::yield();
    }
    Handler handler(std::move(self->handler_));
    const auto work = std::move(self->work_);
    // Not before the handler was called: it may start the next call.
    const SettleAtEnd settle{self->timers_};
    if constexpr (requires { handler.Leave(self->call_); }) handler.Leave(self->call_);
    std::exception_ptr error = std::move(self->error_);
    R result = error != nullptr
                   ? ResultTraits<R>::FromStatus(absl::UnknownError("the executor threw"))
                   : std::move(self->flight_).TakeResult();
    {
      const Ref last = std::move(self);
    }
    DeliverResult<R>(std::move(handler), std::move(error), std::move(result));
  }

  const std::shared_ptr<StackSegment> level_;
  TimerClock* const clock_;  // null: steady
  const CallOptions options_;
  const std::tuple<Args...> args_;
  Handler handler_;
  [[no_unique_address]] Fallback allocator_;
  [[no_unique_address]] net::associated_cancellation_slot_t<Handler> slot_;
  net::executor_work_guard<Executor> work_;
  TimerService& timers_;

  std::atomic<std::uint32_t> references_{1};
  EventWord events_;
  std::atomic<bool> wake_posted_{false};  // a WakeHandler was posted and has not run
  std::atomic<bool> stop_{false};         // the caller wants no more of it
  std::atomic<bool> lost_{false};         // the attempt's handler was destroyed uncalled

  // Used by the owner of events_.
  AsyncCall call_;
  driver::CallTask<Operation, AsyncCall, R, decltype(StackSegment::policies)> flight_;
  bool stopped_ = false;  // the flight knows it
  bool finished_ = false;
  Ending<R> ended_;  // of the attempt, when EventWord::kEnded is pending
  std::exception_ptr error_;
  [[no_unique_address]] std::conditional_t<kIsParallel<AttemptExecutor>, std::shared_ptr<ThisRace>,
                                           NoRace> race_;

  SlotHandler<Operation>* slot_handler_ = nullptr;  // used where slot and handler are

  net::cancellation_signal cancel_attempt_;
  std::optional<std::stop_callback<StopHandler<Operation>>> stop_callback_;
  Timer clock_timer_{*this};
  Rooms rooms_;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_ASIO_INTERNAL_OPERATION_H_
