// One call in flight in a World, and the race in which it is while its policy forks.
#ifndef HOLDFAST_TESTING_INTERNAL_SIM_FLIGHT_H_
#define HOLDFAST_TESTING_INTERNAL_SIM_FLIGHT_H_

#include <algorithm>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <type_traits>
#include <utility>

#include "holdfast/call/caught.h"
#include "holdfast/driver/call_task.h"
#include "holdfast/driver/fork.h"
#include "holdfast/stack/catching.h"
#include "holdfast/testing/internal/sim_call.h"
#include "holdfast/testing/reply.h"

namespace holdfast::testing::sim_internal {

template <class R, class Policies, class Executor, class Done>
class Hangar;

// The event of a call: at its timer, when it is woken, and when it is stopped. The world's queue
// can't forget, so a timer that is put off stays where it is queued, and is queued again only when
// that time has come: attempts that come back before their timeout cost the queue nothing. It has
// the rank of when it was set, as if it had been queued then.
class SimTimer : public Event, public Waker {
 public:
  void Wake() noexcept final {
    woken_ = true;
    world_->Rank(*this);
    Queue(world_->Now());
  }
  void Happen() final {
    const TimePoint now = world_->Now();
    if (now != queued_) return;
    queued_ = TimePoint::max();
    const bool woken = std::exchange(woken_, false);
    const bool due = wanted_ <= now;
    if (due) wanted_ = TimePoint::max();
    if (woken || due) Fire();
    Queue(wanted_);
  }

 protected:
  ~SimTimer() override = default;

  void SetTimer(TimePoint at) {
    wanted_ = at;
    world_->Rank(*this);
    Queue(std::max(at, world_->Now()));
  }
  void ClearTimer(World& world) {
    world_ = &world;
    wanted_ = TimePoint::max();
    woken_ = false;
  }

 private:
  virtual void Fire() = 0;

  void Queue(TimePoint at) {
    if (at >= queued_) return;
    queued_ = at;
    world_->ScheduleRanked(at, *this);
  }

  World* world_ = nullptr;
  TimePoint wanted_ = TimePoint::max();
  TimePoint queued_ = TimePoint::max();  // the first of its entries in the queue; max(): none
  bool woken_ = false;
};

// Whoever tells it something, but a timer that nobody wants any more, does so while it is in a
// call. NOLINTBEGIN(bugprone-unchecked-optional-access)
template <class R, class Policies, class Executor, class Done>
class SimFlight final : public SimTimer, public Waiting<R> {
 public:
  using Home = Hangar<R, Policies, Executor, Done>;
  using Level = internal::StackSegment<Policies, Executor>;

  void Start(Home& home, Level& level, const CallOptions& options, Done done) {
    home_ = &home;
    level_ = &level;
    this->ClearTimer(home.world());
    call_.emplace(*this, level.policies, options, std::move(done));
    if (options.stop.stop_possible() && !options.stop.stop_requested()) {
      call_->on_stop.emplace(options.stop, Stop{*this});
    }
    call_->done.Begin(call_->call);
    call_->call.SetExecutor(level.executor);
    call_->call.SetMeter(*level.meter, level.first_policy);
    Do([this] { call_->flight.Start(); });
  }

  void Approach() const override {
    if (call_) FetchLines(&level_->policies, static_cast<int>(sizeof(Policies) / 64) + 1);
  }

  SimFlight* next_free() const { return next_free_; }
  void set_next_free(SimFlight* flight) { next_free_ = flight; }

  // What CallTask asks of its driver.
  void SetTimer(TimePoint at) { SimTimer::SetTimer(at); }
  void Launch() {
    if constexpr (internal::kIsParallel<Executor>) {
      BeginRace();
    } else if constexpr (internal::kIsCatching<Executor>) {
      try {
        level_->executor.executor()(static_cast<Call&>(call_->call), this->NextReply());
      } catch (...) {
        this->AwaitNothing();
        Threw(std::current_exception());
      }
    } else {
      level_->executor(static_cast<Call&>(call_->call), this->NextReply());
    }
  }
  void CancelAttempt(EndReason why) { cancel_ = why; }
  void Finished(std::exception_ptr error) {
    error_ = std::move(error);
    finished_ = true;
  }

 private:
  struct Stop {
    void operator()() const noexcept {
      flight.stop_ = true;
      flight.Wake();
    }
    SimFlight& flight;
  };
  struct Running {
    Running(SimFlight& self, Policies& policies, const CallOptions& call_options, Done when_done)
        : done(std::move(when_done)),
          options(call_options),
          call(options, self.home_->world(), self.home_->random(), self),
          flight(self, policies, call) {}

    Done done;  // keeps what a branch's options point to
    CallOptions options;
    SimCall call;
    driver::CallTask<SimFlight, SimCall, R, Policies> flight;
    std::optional<std::stop_callback<Stop>> on_stop;
  };
  static constexpr EndReason kNotCancelled{-1};

  // Takes a step, and then does what could not be done while the flight was at it.
  template <class F>
  void Do(const F& step) {
    doing_ = true;
    step();
    for (;;) {
      if (finished_) break;
      if (cancel_ != kNotCancelled) {
        EndAttempt(std::exchange(cancel_, kNotCancelled));
      } else if (reply_) {
        R reply = *std::move(reply_);
        reply_.reset();
        call_->flight.Completed([&reply]() -> R { return std::move(reply); });
      } else if (reply_error_ != nullptr) {
        call_->flight.Threw(std::exchange(reply_error_, nullptr));
      } else {
        break;
      }
    }
    doing_ = false;
    if (finished_) Finish();
  }

  void Fire() override {
    if (!call_) return;
    if (std::exchange(stop_, false)) return Do([this] { call_->flight.Stopped(); });
    Do([this] {
      if constexpr (internal::kIsParallel<Executor>) {
        if (racing_ != nullptr) return PollRace(false);
      }
      call_->flight.Woken();
    });
  }

  void Replied(R result) override {
    if (doing_) {
      reply_.emplace(std::move(result));
    } else {
      Do([&] { call_->flight.Completed([&result]() -> R { return std::move(result); }); });
    }
  }
  void Threw(std::exception_ptr error) override {
    if constexpr (internal::kIsCatching<Executor>) {
      std::optional<R> caught;
      try {
        caught = level_->executor.template Thrown<typename internal::ForCaller<R>::type>(error);
      } catch (...) {
        error = std::current_exception();  // of a classifier
      }
      if (caught) return Replied(*std::move(caught));
    }
    if (doing_) {
      reply_error_ = std::move(error);
    } else {
      Do([&] { call_->flight.Threw(std::move(error)); });
    }
  }

  // Ends an attempt that was asked to end: at once, since in a world whatever runs on does that
  // without the call.
  void EndAttempt(EndReason why) {
    reply_.reset();
    reply_error_ = nullptr;
    if constexpr (internal::kIsParallel<Executor>) {
      if (racing_ != nullptr) return PollRace(why == EndReason::kCancelled);
    }
    this->AwaitNothing();
    call_->flight.Completed(
        [] { return ResultTraits<R>::FromStatus(internal::CancelledRejection()); });
  }

  void BeginRace() {
    static_assert(internal::CheckWord<decltype(level_->executor.fork)>());
    SimCall& call = call_->call;
    racing_ = std::make_shared<SimRace<R>>(call, *this);
    racing_->Begin(level_->executor.fork, call, Sender());
    SetTimer(racing_->NextPollAt(call));
  }

  void PollRace(bool stopped) {
    call_->call.ForgetNow();
    internal::PollRace<R>(racing_, *this, call_->flight, level_->executor.fork, call_->call,
                          stopped, Sender());
  }

  auto Sender() {
    return [this](typename SimRace<R>::Branch& branch) {
      const CallOptions options = racing_->OptionsOf(branch);
      home_->branches().hangar.Start(*level_->executor.below, options,
                                     EndBranch<R>{racing_, &branch});
      return true;
    };
  }

  // Hands over how the call ended. Its place is free once that has returned, or thrown.
  void Finish() {
    struct Leave {
      SimFlight& flight;
      ~Leave() { flight.LeavePlace(); }
    } leave{*this};
    if (error_ != nullptr) {
      call_->done.Threw(call_->call, std::move(error_));
    } else {
      call_->done.Succeeded(call_->call, std::move(call_->flight).TakeResult());
    }
  }

  void LeavePlace() {
    if constexpr (internal::kIsParallel<Executor>) {
      if (const auto race = std::exchange(racing_, nullptr)) race->GiveUp(race);
    }
    call_.reset();
    this->AwaitNothing();
    this->ClearTimer(home_->world());
    reply_.reset();
    reply_error_ = nullptr;
    error_ = nullptr;
    cancel_ = kNotCancelled;
    stop_ = false;
    finished_ = false;
    home_->Free(*this);
  }

  Home* home_ = nullptr;
  Level* level_ = nullptr;
  SimFlight* next_free_ = nullptr;
  bool doing_ = false;                // a step of the flight
  bool finished_ = false;             // in error_, or with a result
  bool stop_ = false;                 // was requested
  EndReason cancel_ = kNotCancelled;  // the attempt is to end
  std::exception_ptr error_;
  std::optional<R> reply_;  // that came while doing_
  std::exception_ptr reply_error_;
  [[no_unique_address]] std::conditional_t<internal::kIsParallel<Executor>,
                                           std::shared_ptr<SimRace<R>>, NoRace> racing_;
  std::optional<Running> call_;
};
// NOLINTEND(bugprone-unchecked-optional-access)

}  // namespace holdfast::testing::sim_internal

#endif  // HOLDFAST_TESTING_INTERNAL_SIM_FLIGHT_H_
