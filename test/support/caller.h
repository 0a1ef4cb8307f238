// One call through one policy, driven by hand in the test's own thread: so that many of them wait
// at once, in virtual time.
#ifndef HOLDFAST_TEST_SUPPORT_CALLER_H_
#define HOLDFAST_TEST_SUPPORT_CALLER_H_

#include <absl/status/status.h>

#include <string_view>
#include <tuple>
#include <utility>

#include "holdfast/base/time.h"
#include "holdfast/base/waker.h"
#include "holdfast/call/call.h"
#include "holdfast/driver/machine.h"
#include "holdfast/testing/fake_clock.h"

namespace holdfast::test {

template <class... Policies>
class Caller {
 public:
  Caller(std::tuple<Policies...>& policies, testing::FakeClock& clock, CallOptions options = {})
      : clock_(clock), options_(options), call_(options_, clock), machine_(policies, call_) {
    Go(machine_.Start());
  }

  // Has it go on, if its time has come or it was woken.
  Caller& Look() {
    while (waits() && (call_.bell.TryConsume() || clock_.Now() >= machine_.wait_until())) {
      Go(machine_.Resume());
    }
    return *this;
  }

  bool waits() const { return step_ == driver::Step::kWait; }
  bool ran() const { return ran_at_ != TimePoint::max(); }
  TimePoint goes_at() const { return waits() ? machine_.wait_until() : ran_at_; }
  absl::Status Stop() {
    Go(machine_.Cancel());
    return result_;
  }
  const absl::Status& result() const { return result_; }

 private:
  class HandCall final : public Call {
   public:
    HandCall(const CallOptions& options, testing::FakeClock& clock) : Call(options, &clock) {}
    Waker& waker() override { return bell; }
    Parker bell;
  };

  void Go(driver::Step step) {
    step_ = step;
    if (step_ == driver::Step::kExecute) {
      ran_at_ = clock_.Now();
      step_ = machine_.Execute([] { return absl::OkStatus(); });
    }
    if (step_ == driver::Step::kDone) result_ = std::move(machine_).TakeResult();
  }

  testing::FakeClock& clock_;
  CallOptions options_;
  HandCall call_;
  driver::Machine<absl::Status, Policies...> machine_;
  driver::Step step_ = driver::Step::kDone;
  TimePoint ran_at_ = TimePoint::max();
  absl::Status result_;
};

}  // namespace holdfast::test

#endif  // HOLDFAST_TEST_SUPPORT_CALLER_H_
