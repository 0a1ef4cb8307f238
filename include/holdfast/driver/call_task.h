// A CallTask runs one call in a driver that does not block: the driver reports events (a timer
// fired, an attempt completed), and the CallTask tells the driver what to do next. For driver
// authors; Asio's and the simulator's drivers are made with it.
//
//   struct Driver {                                    // of this one call
//     void SetTimer(holdfast::TimePoint at);         // replaces the timer before; max(): no timer
//     void Launch();                                 // start an attempt
//     void CancelAttempt(holdfast::EndReason why);   // ask the attempt to end soon
//     void Finished(std::exception_ptr error);       // the end; TakeResult() if error is null
//   };
#ifndef HOLDFAST_DRIVER_CALL_TASK_H_
#define HOLDFAST_DRIVER_CALL_TASK_H_

#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

#include "holdfast/base/result.h"
#include "holdfast/call/call.h"
#include "holdfast/call/report.h"
#include "holdfast/driver/fork.h"
#include "holdfast/driver/machine.h"

namespace holdfast::driver {

// `CallType` is the driver's own class of calls, whose ForgetNow is public. Not thread-safe: the
// driver reports one event at a time, and none while it is itself being called by the CallTask, so
// Launch must not complete the attempt before it returns.
template <class Driver, class CallType, class R, class Policies>
class CallTask {
 public:
  CallTask(Driver& driver, Policies& policies, CallType& call)
      : driver_(driver), call_(call), machine_(policies, call) {}

  void Start() {
    Walk([this] { return machine_.Start(); });
  }

  // The timer fired, or the call's waker was woken.
  void Woken() {
    if (phase_ == Phase::kWaiting) {
      Walk([this] { return machine_.Resume(); });
    } else if (phase_ == Phase::kRunning) {
      call_.ForgetNow();
      if (call_.now() >= call_.deadline()) Cut(EndReason::kDeadline);
    }
  }

  // The caller requested a stop.
  void Stopped() {
    stopped_ = true;
    if (phase_ == Phase::kWaiting) {
      Walk([this] { return machine_.Cancel(); });
    } else if (phase_ == Phase::kRunning) {
      Cut(EndReason::kCancelled);
    }
  }

  // The attempt ended with the result `make()`, or threw. A failure or an exception after
  // CancelAttempt is taken as its consequence: the call ends as cancelled or late.
  template <class F>
  void Completed(F&& make) {
    Walk([&] {
      if (cut_ == kUncut) return machine_.Complete(std::forward<F>(make));
      return CompleteCut(std::forward<F>(make)());
    });
  }
  void Threw(std::exception_ptr error) {
    if (cut_ != kUncut) return Walk([this] { return CutOff(); });
    machine_.Fail();
    Finish(std::move(error));
  }

  R TakeResult() && { return std::move(machine_).TakeResult(); }

 private:
  enum class Phase : std::uint8_t { kStarting, kWaiting, kRunning, kDone };
  static constexpr EndReason kUncut{-1};

  // Does what the machine says after `step`.
  template <class F>
  void Walk(const F& step) {
    try {
      switch (NextStep(step())) {
        case Step::kWait:
          phase_ = Phase::kWaiting;
          return driver_.SetTimer(machine_.wait_until());
        case Step::kExecute:
          phase_ = Phase::kRunning;
          cut_ = kUncut;
          machine_.Begin();
          return Launch();
        case Step::kDone:
          break;
      }
    } catch (...) {
      // A policy's callback, or the driver's memory.
      machine_.Drop();
      return Finish(std::current_exception());
    }
    Finish(nullptr);
  }

  void Launch() {
    try {
      driver_.SetTimer(call_.deadline());
      driver_.Launch();
    } catch (...) {
      Threw(std::current_exception());
    }
  }

  // What is stopped neither waits nor runs again.
  Step NextStep(Step step) { return stopped_ && step != Step::kDone ? machine_.Cancel() : step; }

  Step CompleteCut(R result) {
    if (ResultTraits<R>::StatusOf(result).ok()) {
      return machine_.Complete([&result]() -> R { return std::move(result); });
    }
    return CutOff();
  }

  Step CutOff() {
    return cut_ == EndReason::kCancelled ? machine_.Cancel() : machine_.CompleteLate();
  }

  void Cut(EndReason why) {
    if (cut_ == kUncut || why == EndReason::kCancelled) cut_ = why;
    driver_.CancelAttempt(why);
  }

  void Finish(std::exception_ptr error) {
    phase_ = Phase::kDone;
    driver_.Finished(std::move(error));
  }

  Driver& driver_;
  CallType& call_;
  typename internal::MachineOver<R, Policies>::type machine_;
  Phase phase_ = Phase::kStarting;
  bool stopped_ = false;
  EndReason cut_ = kUncut;  // why the present attempt was asked to end
};

}  // namespace holdfast::driver

namespace holdfast::internal {

// Looks at the race in which an attempt of a call is: the call goes on, or its driver's timer
// is set. What `send` or the fork's policy throws is the attempt's.
template <class R, class Driver, class Task, class ThisRace, class Fork, class Send>
void PollRace(std::shared_ptr<ThisRace>& race, Driver& driver, Task& task, const Fork& fork,
              Call& call, bool stopped, const Send& send) {
  std::optional<R> result;
  std::exception_ptr error;
  try {
    if (!race->Poll(fork, call, stopped, send)) return driver.SetTimer(race->NextPollAt(call));
    const auto over = std::exchange(race, nullptr);
    result.emplace(over->Resolve(stopped, over));
  } catch (...) {
    error = std::current_exception();
    if (const auto given_up = std::exchange(race, nullptr)) given_up->GiveUp(given_up);
  }
  if (error != nullptr) return task.Threw(std::move(error));
  task.Completed([&result]() -> R { return *std::move(result); });
}

}  // namespace holdfast::internal

#endif  // HOLDFAST_DRIVER_CALL_TASK_H_
