// A policy of your own: any type with State, Before and After goes into a Stack beside Holdfast's.
// This one is a switch that an operator throws to keep calls from a service.
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

  struct State {};  // of one call; what its destructor does happens however the call ends
  Verdict Before(Call&, State&) { return *thrown_ ? Verdict::Reject(off_) : Verdict::Proceed(); }
  template <class R>
  Next After(Call&, State&, R&) {
    return Next::Done();
  }

 private:
  std::shared_ptr<const std::atomic<bool>> thrown_;  // policies are copied; this is shared
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
  holdfast::testing::FakeClock clock;  // the waits of Retry are over at once
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

  bool good = Check(ask().ok() && asked == 1, "it lets calls through");
  *thrown = true;
  holdfast::Report report;
  const auto rejection = holdfast::RejectionOf(ask.With({.report = &report}));
  good &= Check(rejection && rejection->policy == "KillSwitch", "thrown, it refuses them by name");
  good &= Check(asked == 1, "and the service is not asked");
  good &= Check(report.waited > holdfast::Duration::zero(), "Retry waits for it, as it is told to");
  good &= Check(breaker->CountsAt(clock.Now()).failures == 0, "a breaker sees no failure in that");
  *thrown = false;
  good &= Check(ask().ok() && asked == 2, "back again, it lets calls through");
  return good ? 0 : 1;
}
