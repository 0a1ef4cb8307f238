// What users do to a breaker that they should not, and what has broken those of others.
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "holdfast/breaker/circuit_break.h"
#include "holdfast/breaker/circuit_breaker.h"
#include "holdfast/retry/retry.h"
#include "holdfast/stack/stack.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/breaker.h"
#include "test/support/catch.h"

namespace holdfast::breaker_hostile_test {
namespace {

using namespace std::chrono_literals;
using Options = CircuitBreaker::Options;
using test::At;
using test::Record;
using test::Touchy;
using testing::FakeClock;

constexpr auto kClosed = BreakerState::kClosed;
constexpr auto kHalfOpen = BreakerState::kHalfOpen;
constexpr auto kOpen = BreakerState::kOpen;

constexpr int kProbes = 2;

// Where a user's code is called.
enum class Place {
  kReadyToTrip,
  kRule,
  kOpenTime,
  kOnStateChange,
  kClassify,
  kFunction,          // that Execute runs
  kPolicyClassifier,  // of CircuitBreak
  kExecutor,          // of the stack that it is in
};
constexpr Place kPlaces[] = {Place::kReadyToTrip,      Place::kRule,     Place::kOpenTime,
                             Place::kOnStateChange,    Place::kClassify, Place::kFunction,
                             Place::kPolicyClassifier, Place::kExecutor};

// For a call of whose end nothing is known.
template <class F>
void Try(const F& call) {
  try {
    (void)call();
  } catch (...) {  // NOLINT(bugprone-empty-catch): see above
  }
}

struct Deed {
  std::string name;
  std::function<void(CircuitBreaker&)> act;
};

// Everything that can be done to a breaker.
std::vector<Deed> Deeds() {
  std::vector<Deed> deeds = {
      {"nothing", [](CircuitBreaker&) {}},
      {"Admit", [](CircuitBreaker& b) { (void)b.Admit(); }},
      {"state", [](CircuitBreaker& b) { (void)b.state(); }},
      {"counts", [](CircuitBreaker& b) { (void)b.counts(); }},
      {"last_trip", [](CircuitBreaker& b) { (void)b.last_trip(); }},
      {"mode, retry_at and name",
       [](CircuitBreaker& b) { (void)b.mode(), (void)b.retry_at(), (void)b.name(); }},
      {"Reset", [](CircuitBreaker& b) { b.Reset(); }},
      {"Snapshot", [](CircuitBreaker& b) { (void)b.Snapshot(); }},
      {"Snapshot and Restore", [](CircuitBreaker& b) { b.Restore(b.Snapshot()).IgnoreError(); }},
      {"Execute", [](CircuitBreaker& b) { (void)b.Execute([] { return absl::OkStatus(); }); }},
      {"Execute that throws", [](CircuitBreaker& b) {
         Try([&] { return b.Execute([]() -> absl::Status { throw 1; }); });
       }}};
  for (const Outcome outcome : {Outcome::kSuccess, Outcome::kFailure, Outcome::kIgnored}) {
    deeds.push_back({"Done", [outcome](CircuitBreaker& b) {
                       if (auto ticket = b.Admit(); ticket.ok()) ticket->Done(outcome);
                     }});
  }
  for (const BreakerMode mode : {BreakerMode::kAutomatic, BreakerMode::kMetricsOnly,
                                 BreakerMode::kForcedOpen, BreakerMode::kForcedClosed}) {
    deeds.push_back({"SetMode", [mode](CircuitBreaker& b) { b.SetMode(mode); }});
  }
  for (const BreakerState state : {kClosed, kHalfOpen, kOpen}) {
    deeds.push_back(
        {"Restore", [state](CircuitBreaker& b) { b.Restore({.state = state}).IgnoreError(); }});
  }
  return deeds;
}

// A breaker whose every callback does the deed, and then perhaps throws.
class Hostile {
 public:
  Hostile(Place place, const Deed& deed, bool throws)
      : place_(place),
        deed_(deed),
        throws_(throws),
        breaker_(std::make_shared<CircuitBreaker>(Of())) {}

  // A breaker's life: it trips, a probe fails, one hangs, and it recovers.
  void Live() {
    Calls(absl::OkStatus(), absl::InternalError("down"));
    clock_.Advance(11s);
    Calls(absl::InternalError("down"));
    clock_.Advance(11s);
    std::optional<Ticket> hung;
    if (auto ticket = breaker_->Admit(); ticket.ok()) hung = *std::move(ticket);
    clock_.Advance(11s);
    (void)breaker_->state();
    hung.reset();
    clock_.Advance(11s);
    Calls(absl::CancelledError("never mind"), absl::OkStatus(), absl::OkStatus());
    clock_.Advance(11s);
    Calls(absl::OkStatus(), absl::InternalError("down"));
  }

  // Left alone it recovers, through no more probes than it may have, and trips again.
  void CheckThatNothingIsWedged() {
    armed_ = false;
    breaker_->SetMode(BreakerMode::kAutomatic);
    for (int i = 0; i < 10 && breaker_->state() != kClosed; ++i) {
      if (auto ticket = breaker_->Admit(); ticket.ok()) ticket->Done(Outcome::kSuccess);
      clock_.Advance(11s);
    }
    CHECK(breaker_->state() == kClosed);
    Record(*breaker_, clock_.Now(), Outcome::kFailure);
    CHECK(breaker_->state() == kOpen);
    CHECK_FALSE(breaker_->Admit().ok());
    clock_.Advance(11s);
    std::vector<Ticket> probes;
    for (int i = 0; i < 5; ++i) {
      if (auto ticket = breaker_->Admit(); ticket.ok()) probes.push_back(*std::move(ticket));
    }
    CHECK(probes.size() == kProbes);
    for (Ticket& probe : probes) probe.Done(Outcome::kSuccess);
    CHECK(breaker_->state() == kClosed);
    CHECK(breaker_->counts() == BreakerCounts{});
    CHECK(changes_.LeadTo(kClosed));
  }

  int acted() const { return acted_; }

 private:
  Options Of() {
    return {.max_requests = kProbes,
            .timeout = 10s,
            .open_time =
                [this](std::uint64_t) {
                  Act(Place::kOpenTime);
                  return 10s;
                },
            .ready_to_trip =
                [this](const BreakerCounts&) {
                  Act(Place::kReadyToTrip);
                  return true;
                },
            .rules = {{.name = "never",
                       .tripped =
                           [this](const BreakerCounts&) {
                             Act(Place::kRule);
                             return false;
                           }}},
            .on_state_change =
                [this](std::string_view name, BreakerState from, BreakerState to) {
                  changes_.Listener()(name, from, to);
                  Act(Place::kOnStateChange);
                },
            .classify =
                [this](const absl::Status& status) {
                  Act(Place::kClassify);
                  return OutcomeOf(status);
                },
            .clock = &clock_};
  }

  static Outcome OutcomeOf(const absl::Status& status) {
    return status.ok()                                     ? Outcome::kSuccess
           : status.code() == absl::StatusCode::kCancelled ? Outcome::kIgnored
                                                           : Outcome::kFailure;
  }

  // Not while it does so already: that it would go on for ever is the user's affair.
  void Act(Place place) {
    if (place != place_ || !armed_ || acting_) return;
    ++acted_;
    acting_ = true;
    deed_.act(*breaker_);
    acting_ = false;
    if (throws_) throw std::runtime_error("hostile");
  }

  // Each status as an Execute's, and as a stack's.
  template <class... Statuses>
  void Calls(const Statuses&... statuses) {
    const auto stack = Stack(CircuitBreak(breaker_,
                                          [this](const Call&, const absl::Status& status) {
                                            Act(Place::kPolicyClassifier);
                                            return OutcomeOf(status);
                                          }))
                           .Around(
                               [this](const absl::Status& status) {
                                 Act(Place::kExecutor);
                                 return status;
                               },
                               &clock_);
    const auto call = [&](const absl::Status& status) {
      Try([&] {
        return breaker_->Execute([&] {
          Act(Place::kFunction);
          return status;
        });
      });
      Try([&] { return stack(status); });
    };
    (call(statuses), ...);
  }

  FakeClock clock_;
  test::Changes changes_;
  const Place place_;
  const Deed& deed_;
  const bool throws_;
  bool armed_ = true;
  bool acting_ = false;
  int acted_ = 0;
  std::shared_ptr<CircuitBreaker> breaker_;
};

TEST_CASE("whatever its callbacks do to a breaker, and whatever they throw, it is not wedged") {
  const std::vector<Deed> deeds = Deeds();
  for (const Place place : kPlaces) {
    for (const Deed& deed : deeds) {
      for (const bool throws : {false, true}) {
        CAPTURE(static_cast<int>(place), deed.name, throws);
        Hostile hostile(place, deed, throws);
        hostile.Live();
        CHECK(hostile.acted() > 0);
        hostile.CheckThatNothingIsWedged();
      }
    }
  }
}

TEST_CASE("changes that callbacks make in the middle of others are told once each, in order") {
  CircuitBreaker* self = nullptr;
  std::vector<BreakerState> told;
  Options options = Touchy();
  options.on_state_change = [&](std::string_view, BreakerState, BreakerState to) {
    told.push_back(to);
    if (told.size() == 1) {
      self->SetModeAt(At(0s), BreakerMode::kForcedClosed);
      self->SetModeAt(At(0s), BreakerMode::kForcedOpen);
      CHECK(told.size() == 1);  // the rest is told after its own return
      self->SetModeAt(At(0s), BreakerMode::kAutomatic);
    }
    throw std::runtime_error("tired");
  };
  CircuitBreaker breaker(options);
  self = &breaker;
  CHECK_NOTHROW(Record(breaker, At(0s), Outcome::kFailure));
  CHECK(told == std::vector{kOpen, kClosed, kOpen, kHalfOpen});
}

// gobreaker, Polly, failsafe-go: a callback under the lock deadlocks, or dies with it.
TEST_CASE("a rule that opens the breaker by hand has had its way, whatever it then says") {
  CircuitBreaker* self = nullptr;
  CircuitBreaker breaker({.ready_to_trip = [&](const BreakerCounts&) {
    self->SetModeAt(At(0s), BreakerMode::kForcedOpen);
    return true;
  }});
  self = &breaker;
  Record(breaker, At(0s), Outcome::kFailure);
  CHECK(breaker.mode() == BreakerMode::kForcedOpen);
  CHECK(breaker.last_trip()->cause == TripCause::kByHand);
}

// Polly: a predicate that throws at the probe leaves it half-open for ever.
TEST_CASE("a probe whose classification throws gives its place back") {
  FakeClock clock;
  Options options = Touchy();
  options.clock = &clock;
  options.classify = [](const absl::Status&) -> Outcome { throw std::runtime_error("what"); };
  CircuitBreaker breaker(options);
  Record(breaker, clock.Now(), Outcome::kFailure);
  clock.Advance(11s);
  for (int i = 0; i < 3; ++i) {
    CHECK_THROWS(breaker.Execute([] { return absl::InternalError("down"); }));
    CHECK(breaker.state() == kHalfOpen);
  }
  CHECK(breaker.counts().ignored == 3);
  Record(breaker, clock.Now(), Outcome::kSuccess);
  CHECK(breaker.state() == kClosed);
}

TEST_CASE("a callback that throws at each change stops none of them") {
  FakeClock clock;
  int told = 0;
  Options options = Touchy();
  options.clock = &clock;
  options.on_state_change = [&](std::string_view, BreakerState, BreakerState) {
    ++told;
    throw 7;
  };
  CircuitBreaker breaker(options);
  const auto fail = [] { return absl::InternalError("down"); };
  CHECK(breaker.Execute(fail) == fail());  // the result stays the function's own
  clock.Advance(11s);
  CHECK(breaker.Execute([] { return absl::OkStatus(); }).ok());
  CHECK(breaker.state() == kClosed);
  CHECK(told == 3);
}

// failsafe-go opens again on it, Polly closes.
TEST_CASE("a probe that its caller cancels is neutral, where it runs and where it waits") {
  FakeClock clock;
  Options options = Touchy();
  options.clock = &clock;
  const auto breaker = std::make_shared<CircuitBreaker>(options);
  Record(*breaker, clock.Now(), Outcome::kFailure);
  clock.Advance(11s);
  std::stop_source stop;
  int attempts = 0;
  const auto executor = [&](const absl::Status& status) {
    ++attempts;
    stop.request_stop();
    return status;
  };
  const auto once = Stack(CircuitBreak(breaker)).Around(executor, &clock);
  CHECK(once.With({.stop = stop.get_token()}, absl::CancelledError("stopped")).code() ==
        absl::StatusCode::kCancelled);
  CHECK(breaker->state() == kHalfOpen);
  CHECK(breaker->counts().ignored == 1);

  stop = {};  // this time between two attempts
  const auto retried = Stack(CircuitBreak(breaker), Retry({.backoff = Backoff::Constant(1s)}))
                           .Around(executor, &clock);
  CHECK(retried.With({.stop = stop.get_token()}, absl::UnavailableError("busy")).code() ==
        absl::StatusCode::kCancelled);
  CHECK(attempts == 2);
  CHECK(breaker->state() == kHalfOpen);
  CHECK(breaker->counts().ignored == 2);
  CHECK(breaker->Execute([] { return absl::OkStatus(); }).ok());
  CHECK(breaker->state() == kClosed);
}

// resilience4j: ten probes went through a quota of two.
TEST_CASE("stale errors that are ignored make no room for more probes") {
  Options options = Touchy();
  options.max_requests = kProbes;
  CircuitBreaker breaker(options);
  std::vector<Ticket> stale;
  for (int i = 0; i < 10; ++i) stale.push_back(*breaker.AdmitAt(At(0s)));
  Record(breaker, At(0s), Outcome::kFailure);
  std::vector<Ticket> probes;
  for (Ticket& ticket : stale) {
    if (auto probe = breaker.AdmitAt(At(11s)); probe.ok()) probes.push_back(*std::move(probe));
    ticket.DoneAt(At(11s), Outcome::kIgnored);
  }
  CHECK(probes.size() == kProbes);
  CHECK(breaker.CountsAt(At(11s)).requests == kProbes);
}

// failsafe-go, resilience4j, Polly: it closes them.
TEST_CASE("a success from before it opened is no probe's, however many come") {
  Options options = Touchy();
  options.max_requests = kProbes;
  CircuitBreaker breaker(options);
  std::vector<Ticket> stale;
  for (int i = 0; i < 10; ++i) stale.push_back(*breaker.AdmitAt(At(0s)));
  Record(breaker, At(0s), Outcome::kFailure);
  auto probe = breaker.AdmitAt(At(11s));
  for (Ticket& ticket : stale) ticket.DoneAt(At(11s), Outcome::kSuccess);
  CHECK(breaker.StateAt(At(11s)) == kHalfOpen);
  CHECK(breaker.CountsAt(At(11s)).successes == 0);
}

}  // namespace
}  // namespace holdfast::breaker_hostile_test
