// A user-defined policy: any type with State, Before and After can stand in a Stack. This one is a
// kill switch, with which an operator keeps calls from a service.
#include <absl/status/status.h>

#include <atomic>
#include <iostream>
#include <memory>
#include <utility>

#include "holdfast/holdfast.h"
#include "holdfast/testing.h"

using holdfast::Call;
using holdfast::Next;
using holdfast::Verdict;

class KillSwitch {
 public:
  explicit KillSwitch(std::shared_ptr<const std::atomic<bool>> thrown)
      : thrown_(std::move(thrown)) {}

  struct State {};  // one per call; its destructor runs however the call ends
  Verdict Before(Call&, State&) { return *thrown_ ? Verdict::Reject(off_) : Verdict::Proceed(); }
  template <class R>
  Next After(Call&, State&, R&) {
    return Next::Done();
  }

 private:
  std::shared_ptr<const std::atomic<bool>> thrown_;  // shared by all copies of the policy
  absl::Status off_ = holdfast::MakeRejection(absl::StatusCode::kUnavailable,
                                              {.policy = "KillSwitch"}, "switched off");
};

namespace {

bool Check(bool holds, const char* what) {
  std::cout << (holds ? "yes  " : "NO   ") << what << '\n';
  return holds;
}

}  // namespace

int main() {
  holdfast::testing::FakeClock clock;  // a wait of Retry ends at once
  auto thrown = std::make_shared<std::atomic<bool>>(false);
  auto breaker = std::make_shared<holdfast::CircuitBreaker>(holdfast::CircuitBreaker::Options{});
  int asked = 0;
  auto ask = holdfast::Stack(holdfast::Retry({.max_attempts = 3, .wait_for_refusals = true}),
                             holdfast::CircuitBreak(breaker), KillSwitch(thrown))
                 .Around(
                     [&] {
                       ++asked;
                       return absl::OkStatus();
                     },
                     &clock);

  bool good = Check(ask().ok() && asked == 1, "the switch lets calls through");
  *thrown = true;
  holdfast::Report report;
  const auto rejection = holdfast::RejectionOf(ask.With({.report = &report}));
  good &= Check(rejection && rejection->policy == "KillSwitch",
                "once thrown, it rejects calls, and the status names it");
  good &= Check(asked == 1, "the service is not called");
  good &= Check(report.waited > holdfast::Duration::zero(),
                "Retry waits, because of wait_for_refusals");
  good &= Check(breaker->CountsAt(clock.Now()).failures == 0, "the breaker counts no failure");
  *thrown = false;
  good &= Check(ask().ok() && asked == 2, "switched back, it lets calls through");
  return good ? 0 : 1;
}
