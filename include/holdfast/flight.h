// A Flight is a call in a driver where nothing blocks: what happens to the call is told to it, and
// it tells its driver what to do next. For those who write such a driver (Asio, the simulator);
// everybody else calls what the driver makes of a stack.
//
//   struct Driver {                                    // of this one call
//     void SetAlarm(holdfast::TimePoint at);           // in place of the one before; max(): none
//     void Launch();                                   // start an attempt
//     void CancelAttempt(holdfast::StopReason why);    // ask it to end soon
//     void Finished(std::exception_ptr error);         // TakeResult(), where there is no error
//   };
#ifndef HOLDFAST_FLIGHT_H_
#define HOLDFAST_FLIGHT_H_

#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

#include "holdfast/call.h"
#include "holdfast/fork.h"
#include "holdfast/machine.h"
#include "holdfast/report.h"
#include "holdfast/result.h"

namespace holdfast {

// `CallType` is the driver's own class of calls; its ForgetNow is public. Not thread-safe: the
// driver tells it one thing after the other, and none while a call of its own returns (Launch does
// not complete the attempt in place).
template <class Driver, class CallType, class R, class Policies>
class Flight {
 public:
  Flight(Driver& driver, Policies& policies, CallType& call)
      : driver_(driver), call_(call), machine_(policies, call) {}

  void Start() {
    Walk([this] { return machine_.Start(); });
  }

  // The alarm's time has come, or the call's waker was rung.
  void Woken() {
    if (phase_ == Phase::kWaiting) {
      Walk([this] { return machine_.Resume(); });
    } else if (phase_ == Phase::kRunning) {
      call_.ForgetNow();
      if (call_.now() >= call_.deadline()) Cut(StopReason::kDeadline);
    }
  }

  // The caller wants no more of it.
  void Stopped() {
    stopped_ = true;
    if (phase_ == Phase::kWaiting) {
      Walk([this] { return machine_.Cancel(); });
    } else if (phase_ == Phase::kRunning) {
      Cut(StopReason::kCancelled);
    }
  }

  // The attempt ended with the result `make()`, or threw. One that failed or threw after it was
  // asked to end has done so because of that.
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
  static constexpr StopReason kUncut{-1};

  // Does what the machine says after `step`.
  template <class F>
  void Walk(const F& step) {
    try {
      switch (NextStep(step())) {
        case Step::kWait:
          phase_ = Phase::kWaiting;
          return driver_.SetAlarm(machine_.wait_until());
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
      driver_.SetAlarm(call_.deadline());
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
    if (cut_ == StopReason::kCancelled) return machine_.Cancel();
    call_.set_stopped(StopReason::kDeadline);
    return machine_.Complete(
        [] { return ResultTraits<R>::FromStatus(internal::AttemptTooLate()); });
  }

  void Cut(StopReason why) {
    if (cut_ == kUncut || why == StopReason::kCancelled) cut_ = why;
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
  StopReason cut_ = kUncut;  // why the present attempt was asked to end
};

namespace internal {

// Looks at the race in which an attempt of a flight is: the flight goes on, or its driver's alarm
// is set. What `send` or the fork's policy throws is the attempt's.
template <class R, class Driver, class Flight, class ThisRace, class Fork, class Send>
void LookAtRace(std::shared_ptr<ThisRace>& race, Driver& driver, Flight& flight, const Fork& fork,
                Call& call, bool stopped, const Send& send) {
  std::optional<R> result;
  std::exception_ptr error;
  try {
    if (!race->Look(fork, call, stopped, send)) return driver.SetAlarm(race->LookAt(call));
    const auto over = std::exchange(race, nullptr);
    result.emplace(over->GoOn(stopped, over));
  } catch (...) {
    error = std::current_exception();
    if (const auto given_up = std::exchange(race, nullptr)) given_up->GiveUp(given_up);
  }
  if (error != nullptr) return flight.Threw(std::move(error));
  flight.Completed([&result]() -> R { return *std::move(result); });
}

}  // namespace internal
}  // namespace holdfast

#endif  // HOLDFAST_FLIGHT_H_
