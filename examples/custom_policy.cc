// A policy of your own: any type with State, Before and After goes into a Stack beside Holdfast's.
//
// This one is a quota, so many calls for each key. main() shows that the place in the stack says
// what is counted: outside of Retry whole calls, inside of it every attempt.
#include <absl/status/status.h>

#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "holdfast/holdfast.h"
#include "holdfast/testing.h"

class Quota {
 public:
  explicit Quota(int calls_per_key) : calls_per_key_(calls_per_key) {}

  struct State {};  // of one call; what its destructor does happens however the call ends

  holdfast::Verdict Before(holdfast::Call& call, State&) {
    std::lock_guard lock(used_->mutex);
    int& calls = used_->calls[std::string(call.key())];
    // Another try can never succeed: Retry reads that from the time, and hands the refusal on.
    if (calls == calls_per_key_)
      return holdfast::Verdict::Reject(spent_, holdfast::TimePoint::max());
    ++calls;
    return holdfast::Verdict::Proceed();
  }

  template <class R>
  holdfast::Next After(holdfast::Call&, State&, R&) {
    return holdfast::Next::Done();
  }

 private:
  struct Used {
    std::mutex mutex;
    std::map<std::string, int> calls;  // by key
  };

  int calls_per_key_;
  std::shared_ptr<Used> used_ = std::make_shared<Used>();  // policies are copied; this is shared
  absl::Status spent_ = holdfast::MakeRejection(absl::StatusCode::kResourceExhausted,
                                                {.policy = "Quota"}, "the quota is spent");
};

namespace {

// Fails every other time that it is asked.
class Flaky {
 public:
  absl::Status operator()() {
    return ++asked_ % 2 == 1 ? absl::UnavailableError("try again") : absl::OkStatus();
  }
  int asked() const { return asked_; }

 private:
  int asked_ = 0;
};

bool Check(bool holds, const char* what) {
  std::cout << (holds ? "yes  " : "NO   ") << what << '\n';
  return holds;
}

bool IsSpent(const absl::Status& status) {
  const auto rejection = holdfast::RejectionOf(status);
  return rejection && rejection->policy == "Quota";
}

bool CountsCallsOutsideOfRetry() {
  holdfast::testing::FakeClock clock;  // the waits of Retry are over at once
  Flaky backend;
  auto ask = holdfast::Stack(Quota(2), holdfast::Retry({})).Around(std::ref(backend), &clock);

  bool good = true;
  good &= Check(ask.With({.key = "ann"}).ok() && ask.With({.key = "ann"}).ok(),
                "outside of Retry, a quota of two is two calls");
  good &= Check(backend.asked() == 4, "and each of them was tried twice");
  good &= Check(IsSpent(ask.With({.key = "ann"})) && backend.asked() == 4,
                "the third is refused by Quota, and the backend sees nothing of it");
  good &= Check(ask.With({.key = "bob"}).ok(), "another key has a quota of its own");
  return good;
}

bool CountsAttemptsInsideOfRetry() {
  holdfast::testing::FakeClock clock;
  Flaky backend;
  auto ask = holdfast::Stack(holdfast::Retry({}), Quota(2)).Around(std::ref(backend), &clock);

  bool good = Check(ask.With({.key = "ann"}).ok() && backend.asked() == 2,
                    "inside of Retry, a quota of two is one call tried twice");
  good &= Check(IsSpent(ask.With({.key = "ann"})), "the second call has nothing left to try with");
  return good;
}

}  // namespace

int main() {
  const bool outside = CountsCallsOutsideOfRetry();
  const bool inside = CountsAttemptsInsideOfRetry();
  return outside && inside ? 0 : 1;
}
