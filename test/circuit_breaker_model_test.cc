// Random sequences of everything one can do to a breaker, against a model that is slow and plain:
// it keeps every call and computes what it needs from the list. rapidcheck prints its seed, and
// shrinks a sequence that fails.
#include <absl/status/statusor.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <vector>

#include "holdfast/circuit_breaker.h"
#include "test/support/catch.h"
#include "test/support/rapidcheck.h"

namespace holdfast {
namespace {

using namespace std::chrono_literals;

constexpr Duration kTimeout = 10s;
constexpr std::uint64_t kTripAfter = 3;

struct Settings {
  std::int64_t max_requests;
  Duration interval;
  Duration period;
};

class Model {
 public:
  explicit Model(const Settings& settings) : settings_(settings) {}

  // The number of the call, or -1.
  int Admit(TimePoint now) {
    Advance(now);
    if (state_ == BreakerState::kOpen) return -1;
    if (state_ == BreakerState::kHalfOpen) {
      std::int64_t taken = 0;
      for (const CallRecord& c : calls_) {
        const bool counts =
            c.generation == generation_ && (!c.done || c.outcome == Outcome::kSuccess);
        taken += counts ? 1 : 0;
      }
      if (taken >= settings_.max_requests) return -1;
    }
    calls_.push_back({generation_, Age(now), false, Outcome::kIgnored, false});
    lease_end_ = now + kTimeout;
    return static_cast<int>(calls_.size()) - 1;
  }

  void Done(int number, TimePoint now, Outcome outcome) {
    Advance(now);
    CallRecord& call = calls_[static_cast<size_t>(number)];
    call.done = true;
    call.outcome = outcome;
    call.counted = call.generation == generation_ && InWindow(call);
    if (!call.counted) return;
    if (outcome == Outcome::kSuccess) run_of_failures_ = 0;
    if (outcome == Outcome::kFailure) ++run_of_failures_;
    if (state_ == BreakerState::kClosed) {
      if (outcome == Outcome::kFailure && run_of_failures_ >= kTripAfter) {
        Begin(BreakerState::kOpen, now);
      }
    } else if (outcome == Outcome::kFailure) {
      Begin(BreakerState::kOpen, now);
    } else if (static_cast<std::int64_t>(Count(Outcome::kSuccess)) >= settings_.max_requests) {
      Begin(BreakerState::kClosed, now);
    }
  }

  BreakerState State(TimePoint now) {
    Advance(now);
    return state_;
  }

  std::uint64_t Count(Outcome outcome) const {
    return static_cast<std::uint64_t>(
        std::count_if(calls_.begin(), calls_.end(), [&](const CallRecord& c) {
          return c.generation == generation_ && c.counted && InWindow(c) && c.outcome == outcome;
        }));
  }
  std::uint64_t Requests() const {
    return static_cast<std::uint64_t>(std::count_if(
        calls_.begin(), calls_.end(),
        [&](const CallRecord& c) { return c.generation == generation_ && InWindow(c); }));
  }
  std::uint64_t run_of_failures() const { return run_of_failures_; }

 private:
  struct CallRecord {
    int generation;
    std::int64_t age;
    bool done;
    Outcome outcome;
    bool counted;
  };

  bool Rolling() const { return settings_.period > 0s; }

  std::int64_t Age(TimePoint now) const {
    if (!Rolling() || state_ != BreakerState::kClosed) return 0;
    return std::max<std::int64_t>(age_, (now - began_) / settings_.period);
  }
  bool InWindow(const CallRecord& call) const {
    return !Rolling() || age_ - call.age < settings_.interval / settings_.period;
  }

  bool ProbesAreOut() const {
    return std::any_of(calls_.begin(), calls_.end(),
                       [&](const CallRecord& c) { return c.generation == generation_ && !c.done; });
  }

  void Advance(TimePoint now) {
    if (state_ == BreakerState::kHalfOpen && ProbesAreOut() && now > lease_end_) {
      Begin(BreakerState::kOpen, lease_end_);
    }
    const bool fixed_window = settings_.interval > 0s && !Rolling();
    if (state_ == BreakerState::kOpen && now > began_ + kTimeout) {
      Begin(BreakerState::kHalfOpen, now);
    } else if (state_ == BreakerState::kClosed &&
               (!touched_ || (fixed_window && now > began_ + settings_.interval))) {
      Begin(BreakerState::kClosed, now);
    }
    age_ = Age(now);
  }

  void Begin(BreakerState state, TimePoint now) {
    touched_ = true;
    state_ = state;
    began_ = now;
    age_ = 0;
    run_of_failures_ = 0;
    ++generation_;
  }

  Settings settings_;
  bool touched_ = false;
  BreakerState state_ = BreakerState::kClosed;
  TimePoint began_;
  TimePoint lease_end_;  // of the last probe
  std::int64_t age_ = 0;
  int generation_ = 0;
  std::uint64_t run_of_failures_ = 0;
  std::vector<CallRecord> calls_;
};

// One step is a number: what to do, to which call, and how far time moves.
void Compare(const Settings& settings, const std::vector<std::uint32_t>& steps) {
  Model model(settings);
  CircuitBreaker breaker({.max_requests = settings.max_requests,
                          .interval = settings.interval,
                          .bucket_period = settings.period,
                          .timeout = kTimeout,
                          .ready_to_trip = [](const BreakerCounts& counts) {
                            return counts.consecutive_failures >= kTripAfter;
                          }});
  struct Flight {
    int number;
    Ticket ticket;
  };
  std::deque<Flight> flights;
  TimePoint now{1000s};
  for (const std::uint32_t step : steps) {
    const std::uint32_t what = step % 8;
    const std::size_t which = flights.empty() ? 0 : (step / 8) % flights.size();
    if (what <= 2) {
      auto ticket = breaker.AdmitAt(now);
      const int number = model.Admit(now);
      RC_ASSERT(ticket.ok() == (number >= 0));
      if (ticket.ok()) flights.push_back({number, *std::move(ticket)});
    } else if (what <= 5 && !flights.empty()) {
      const Outcome outcome = step / 64 % 3 == 0   ? Outcome::kSuccess
                              : step / 64 % 3 == 1 ? Outcome::kFailure
                                                   : Outcome::kIgnored;
      model.Done(flights[which].number, now, outcome);
      flights[which].ticket.DoneAt(now, outcome);
      flights.erase(flights.begin() + static_cast<std::ptrdiff_t>(which));
    } else if (what == 6) {
      now += Duration(1s) * (step / 8 % 5);
    } else if (what == 7) {
      now += Duration(100ms) * (step / 8 % 7);
    }
    RC_ASSERT(breaker.StateAt(now) == model.State(now));
    const BreakerCounts counts = breaker.CountsAt(now);
    RC_ASSERT(counts.requests == model.Requests());
    RC_ASSERT(counts.successes == model.Count(Outcome::kSuccess));
    RC_ASSERT(counts.failures == model.Count(Outcome::kFailure));
    RC_ASSERT(counts.ignored == model.Count(Outcome::kIgnored));
    RC_ASSERT(counts.consecutive_failures == model.run_of_failures());
  }
}

TEST_CASE("a breaker does what the model does, whatever is done to it") {
  const Settings settings = GENERATE(Settings{1, 0s, 0s}, Settings{3, 0s, 0s}, Settings{2, 6s, 0s},
                                     Settings{2, 6s, 2s}, Settings{1, 3s, 1s});
  test::Property(
      [&settings](const std::vector<std::uint32_t>& steps) { Compare(settings, steps); });
}

}  // namespace
}  // namespace holdfast
