// Random sequences of everything one can do to a breaker, against a model that is slow and plain:
// it keeps every call and computes what it needs from the list. rapidcheck prints its seed, and
// shrinks a sequence that fails.
#include <absl/status/statusor.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "holdfast/breaker/circuit_breaker.h"
#include "test/support/catch.h"
#include "test/support/rapidcheck.h"

namespace holdfast::circuit_breaker_model_test {
namespace {

using namespace std::chrono_literals;

struct Settings {
  std::int64_t max_requests = 1;
  Duration interval = 0s;
  Duration period = 0s;
  std::int64_t last_calls = 0;
  std::vector<double> ramp = {};
  Duration slow_call = 0s;
  Duration timeout = 5s;  // times the number of the opening
  Duration lease = 3s;
  Duration ramp_step = 4s;
  std::uint64_t run = 3;  // of failures, that trips

  bool Trips(const BreakerCounts& counts) const {
    return counts.consecutive_failures >= run || counts.failures >= 5 || counts.slow >= 6;
  }
  bool CountsAs(const Settings& other) const {
    const auto shape = [](const Settings& s) {
      return std::tuple(s.interval, s.period, s.last_calls, s.slow_call);
    };
    return shape(*this) == shape(other);
  }
};

const std::array<Settings, 13> kSettings = {
    Settings{.max_requests = 1},
    Settings{.max_requests = 3},
    Settings{.max_requests = 2, .interval = 6s},
    Settings{.max_requests = 2, .interval = 6s, .period = 2s},
    Settings{.max_requests = 1, .interval = 3s, .period = 1s, .ramp = {0.5}},
    Settings{.max_requests = 2, .last_calls = 4},
    Settings{.max_requests = 3, .last_calls = 1},
    Settings{.max_requests = 1, .ramp = {0.25, 0.5, 1}},
    Settings{.max_requests = 2, .slow_call = 2s},
    Settings{.max_requests = 2, .interval = 9s, .slow_call = 1s},
    Settings{.max_requests = 2, .interval = 6s, .period = 2s, .slow_call = 3s},
    Settings{.max_requests = 2, .last_calls = 4, .slow_call = 1s},
    Settings{.max_requests = 1, .ramp = {0.5, 1}, .slow_call = 2s}};

// Others, that mostly count as before.
Settings Other(Settings settings, std::uint32_t how) {
  if (how % 4 == 0) settings = kSettings[how / 4 % kSettings.size()];
  how /= 64;
  const std::vector<std::vector<double>> ramps = {{}, {0.5}, {1, 0.25}, {0.25, 0.5, 1}};
  settings.max_requests = 1 + how % 3;
  settings.ramp = ramps[how / 3 % 4];
  settings.timeout = 1s * (3 + how / 12 % 3);
  settings.lease = 1s * (2 + how / 36 % 3);
  settings.ramp_step = 1s * (3 + how / 108 % 2);
  settings.run = 2 + how / 216 % 3;
  return settings;
}

class Model {
 public:
  explicit Model(const Settings& settings) : settings_(settings) {}

  struct Admission {
    bool ok;
    std::optional<std::size_t> call;  // none: it counts for nothing
  };

  Admission Admit(TimePoint now) {
    Advance(now);
    const bool admits = Admits();
    if (!admits) return {.ok = mode_ == BreakerMode::kMetricsOnly, .call = std::nullopt};
    // Leases end in the order in which they began, though clocks may have been read in another.
    TimePoint lease_end = std::max(now, began_) + settings_.lease;
    for (const CallRecord* probe : Out()) lease_end = std::max(lease_end, probe->lease_end);
    calls_.push_back({.generation = generation_,
                      .age = age_,
                      .lease_end = lease_end,
                      .admitted_at = now,
                      .life = life_,
                      .era = eras_.size()});
    return {.ok = true, .call = calls_.size() - 1};
  }

  void Done(std::size_t number, TimePoint now, Outcome outcome) {
    Advance(now);
    CallRecord& call = calls_[number];
    call.outcome = outcome;
    call.slow = Judges() && now - call.admitted_at > settings_.slow_call;
    if (call.generation != generation_) return;
    call.counted = InWindow(call);
    call.order = ++outcomes_;
    if (phase_ == Phase::kProbing) {
      if (outcome == Outcome::kFailure || (outcome == Outcome::kSuccess && call.slow)) {
        return Open(now);
      }
      if (Successes() >= settings_.max_requests) {
        GoOnFromProbes(now);
      }
      return;
    }
    if (outcome == Outcome::kIgnored) {
      ++ignored_;
      return;
    }
    if (outcome == Outcome::kSuccess) proven_ = true;
    if (mode_ == BreakerMode::kForcedClosed) return;
    const bool ramp_fails = phase_ == Phase::kRamping && RampFails();
    const bool asks = outcome == Outcome::kFailure || call.slow;
    if (ramp_fails || (asks && settings_.Trips(Counted()))) Open(now);
  }

  BreakerState State(TimePoint now) {
    Advance(now);
    return phase_ == Phase::kClosed ? BreakerState::kClosed
           : phase_ == Phase::kOpen ? BreakerState::kOpen
                                    : BreakerState::kHalfOpen;
  }

  BreakerCounts Counts(TimePoint now) {
    Advance(now);
    return Counted();
  }

  BreakerCounts Counted() const {
    std::vector<const CallRecord*> judged;  // in the order in which they ended
    BreakerCounts counts;
    for (const CallRecord& call : calls_) {
      if (call.generation != generation_ || !InWindow(call)) continue;
      if (!call.outcome) ++counts.requests;
      if (!call.counted) continue;
      if (call.outcome == Outcome::kIgnored && settings_.last_calls == 0) ++counts.ignored;
      if (call.outcome != Outcome::kIgnored) judged.push_back(&call);
    }
    std::ranges::sort(judged, {}, &CallRecord::order);
    if (settings_.last_calls > 0) {
      const auto most = static_cast<std::size_t>(settings_.last_calls);
      if (judged.size() > most) judged.erase(judged.begin(), judged.end() - settings_.last_calls);
    }
    for (const CallRecord* call : judged) {
      ++(call->outcome == Outcome::kSuccess ? counts.successes : counts.failures);
      if (call->slow) ++counts.slow;
    }
    counts.hung = Hung();
    counts.slow += counts.hung;
    counts.requests += counts.judged() + counts.ignored;
    CountRuns(counts);
    return counts;
  }

  void SetMode(BreakerMode mode, TimePoint now) {
    Advance(now);
    const BreakerMode before = std::exchange(mode_, mode);
    if (mode == before) return;
    if (mode == BreakerMode::kForcedOpen) Begin(Phase::kOpen, now);
    if (mode == BreakerMode::kForcedClosed && phase_ != Phase::kClosed) {
      Begin(Phase::kClosed, now);
    }
    if (before == BreakerMode::kForcedOpen && mode != BreakerMode::kForcedClosed) {
      Begin(Phase::kProbing, now);
    }
  }

  // What it is, in a new process.
  void Restore(TimePoint now) {
    Advance(now);
    const int openings = openings_;
    const TimePoint ends_at = ends_at_;
    Begin(phase_ == Phase::kRamping ? Phase::kProbing : phase_, now);
    if (phase_ != Phase::kClosed) openings_ = openings;
    if (phase_ == Phase::kOpen) ends_at_ = ends_at;
  }

  // Without a look at the time.
  void Update(const Settings& settings) {
    const bool counts_on = settings.CountsAs(settings_);
    const std::uint64_t run = RunOfFailures();
    settings_ = settings;
    if (counts_on || phase_ == Phase::kOpen) return;
    if (phase_ != Phase::kClosed) return Begin(Phase::kProbing, began_);
    Begin(Phase::kClosed, TimePoint::min());
    failures_before_ = run;
    looked_ = false;
  }

  void Reset(TimePoint now) {
    Advance(now);
    mode_ = BreakerMode::kAutomatic;
    Begin(Phase::kClosed, now);
  }

 private:
  enum class Phase { kClosed, kProbing, kRamping, kOpen };

  struct CallRecord {
    int generation;
    std::int64_t age;
    TimePoint lease_end;
    TimePoint admitted_at;
    int life;
    std::size_t era;  // its number among eras_, from 1; 0 of a probe
    std::optional<Outcome> outcome = std::nullopt;
    bool slow = false;
    bool counted = false;  // in the window
    int order = 0;         // among outcomes
  };

  bool Judges() const { return settings_.slow_call > 0s; }
  // Out since an era that is over by more than slow_call, also if that was of an earlier window.
  std::uint64_t Hung() const {
    return static_cast<std::uint64_t>(std::ranges::count_if(calls_, [&](const CallRecord& call) {
      return call.life == life_ && !call.outcome && call.era > 0 && call.era <= aged_;
    }));
  }
  // Eras end with the buckets of a rolling window; of others, after slow_call and with the window.
  TimePoint EraEnd(TimePoint now) const {
    if (Rolling()) return began_ + (age_ + 1) * settings_.period - 1ns;
    const TimePoint end = now + settings_.slow_call;
    const bool fixed = phase_ == Phase::kClosed && settings_.interval > 0s;
    return fixed ? std::min(end, began_ + settings_.interval) : end;
  }
  // `anew`: a fixed window was. Rules are asked where calls hang: in each era, and when there are
  // more of them.
  void MoveEras(TimePoint now, bool anew) {
    if (!Judges() || (phase_ != Phase::kClosed && phase_ != Phase::kRamping)) return;
    const std::uint64_t hung = Hung();
    const bool moves = anew || (Rolling() ? eras_.back() < EraEnd(now) : now > eras_.back());
    if (moves) eras_.push_back(EraEnd(now));
    while (aged_ < eras_.size() && latest_ > eras_[aged_] + settings_.slow_call) ++aged_;
    const bool asks = moves ? Hung() > 0 : Hung() > hung;
    if (asks && mode_ != BreakerMode::kForcedClosed && settings_.Trips(Counted())) {
      Open(latest_);
    }
  }

  bool Rolling() const { return settings_.period > 0s; }
  bool InWindow(const CallRecord& call) const {
    return !Rolling() || age_ - call.age < settings_.interval / settings_.period;
  }
  std::int64_t Counted(Outcome outcome) const {
    return std::ranges::count_if(calls_, [&](const CallRecord& call) {
      return call.generation == generation_ && call.counted && InWindow(call) &&
             call.outcome == outcome;
    });
  }
  std::int64_t Successes() const { return Counted(Outcome::kSuccess); }

  // In the window or not.
  bool RampFails() const {
    std::int64_t more_succeeded = 0;
    for (const CallRecord& call : calls_) {
      if (call.generation != generation_) continue;
      if (call.outcome == Outcome::kSuccess) ++more_succeeded;
      if (call.outcome == Outcome::kFailure) --more_succeeded;
    }
    return more_succeeded < 0;
  }

  // Of all outcomes of the generation, in the window or not.
  void CountRuns(BreakerCounts& counts) const {
    std::map<int, Outcome> outcomes;
    counts.consecutive_failures = failures_before_;
    for (const CallRecord& call : calls_) {
      if (call.generation == generation_ && call.outcome) outcomes[call.order] = *call.outcome;
    }
    for (const auto& [order, outcome] : outcomes) {
      if (outcome == Outcome::kIgnored) continue;
      const bool failed = outcome == Outcome::kFailure;
      counts.consecutive_failures = failed ? counts.consecutive_failures + 1 : 0;
      counts.consecutive_successes = failed ? 0 : counts.consecutive_successes + 1;
    }
  }

  std::uint64_t RunOfFailures() const {
    BreakerCounts counts;
    CountRuns(counts);
    return counts.consecutive_failures;
  }

  std::vector<const CallRecord*> Out() const {
    std::vector<const CallRecord*> out;
    for (const CallRecord& call : calls_) {
      if (call.generation == generation_ && !call.outcome) out.push_back(&call);
    }
    return out;
  }

  bool Admits() {
    switch (phase_) {
      case Phase::kOpen:
        return false;
      case Phase::kProbing:
        return Successes() + static_cast<std::int64_t>(Out().size()) < settings_.max_requests;
      case Phase::kRamping: {
        // The first, and from then on their share; and one for each that was ignored.
        const double share = 1 + share_ * asked_++;
        if (admitted_ >= static_cast<int>(share + 1e-9) + ignored_) return false;
        ++admitted_;
        return true;
      }
      case Phase::kClosed:
        return true;
    }
    return false;
  }

  void Advance(TimePoint now) {
    latest_ = std::max(latest_, now);
    if (mode_ == BreakerMode::kForcedOpen) return;
    if (phase_ == Phase::kProbing && Successes() >= settings_.max_requests) {
      GoOnFromProbes(latest_);
    }
    if (phase_ == Phase::kProbing && !Out().empty()) {
      const TimePoint hung_at = Out().front()->lease_end;
      if (now > hung_at) Open(hung_at);
    }
    if (phase_ == Phase::kOpen && now > ends_at_) Begin(Phase::kProbing, now);
    if (phase_ == Phase::kRamping && now > ends_at_ && proven_) {
      if (step_ + 1 >= settings_.ramp.size()) {
        Begin(Phase::kClosed, now);
      } else {
        BeginStep(step_ + 1, now);
      }
    }
    bool anew = false;
    const bool begins = phase_ == Phase::kClosed && settings_.interval > 0s &&
                        (!looked_ || (!Rolling() && now > began_ + settings_.interval));
    if (begins) {
      const std::uint64_t run = RunOfFailures();
      anew = looked_;
      BeginGeneration(Phase::kClosed, now);
      failures_before_ = run;
    }
    looked_ = looked_ || now > TimePoint{};  // which is what a ticket that is dropped says
    if (Rolling() && (phase_ == Phase::kClosed || phase_ == Phase::kRamping)) {
      age_ = std::max<std::int64_t>(age_, (now - began_) / settings_.period);
    }
    MoveEras(now, anew);
  }

  void GoOnFromProbes(TimePoint now) {
    Begin(settings_.ramp.empty() ? Phase::kClosed : Phase::kRamping, now);
  }

  void Open(TimePoint now) {
    now = std::max(now, began_);
    const int openings = openings_ + 1;
    Begin(Phase::kOpen, now);
    openings_ = openings;
    ends_at_ = now + settings_.timeout * openings_;
  }

  void Begin(Phase phase, TimePoint now) {
    BeginGeneration(phase, now);
    ++life_;
    eras_.clear();
    aged_ = 0;
    if (phase == Phase::kClosed || phase == Phase::kRamping) eras_.push_back(EraEnd(now));
  }

  void BeginGeneration(Phase phase, TimePoint now) {
    phase_ = phase;
    began_ = now;
    age_ = 0;
    ++generation_;
    if (phase == Phase::kClosed) openings_ = 0;
    failures_before_ = 0;
    if (phase == Phase::kRamping) BeginStep(0, now);
  }

  void BeginStep(std::size_t step, TimePoint now) {
    step_ = step;
    asked_ = admitted_ = ignored_ = 0;
    proven_ = false;
    share_ = settings_.ramp[step];
    ends_at_ = now + settings_.ramp_step;
  }

  Settings settings_;
  bool looked_ = false;
  Phase phase_ = Phase::kClosed;
  BreakerMode mode_ = BreakerMode::kAutomatic;
  TimePoint began_;
  TimePoint ends_at_;
  std::int64_t age_ = 0;
  int generation_ = 0;
  int openings_ = 0;
  int outcomes_ = 0;
  std::uint64_t failures_before_ = 0;  // in a row, when a fixed window ended
  std::size_t step_ = 0;               // of the ramp
  double share_ = 0;
  int asked_ = 0;  // in this step
  int admitted_ = 0;
  int ignored_ = 0;
  bool proven_ = false;  // a call succeeded in it
  std::vector<CallRecord> calls_;
  int life_ = 0;  // since it closed or began its ramp, through fixed windows
  std::vector<TimePoint> eras_ = {TimePoint::min()};  // of this life, by the ends of them
  std::size_t aged_ = 0;                              // how many are over by more than slow_call
  TimePoint latest_;
};

// Only so many successes of probes of one generation close a breaker that decides by itself.
class ClosingWatch {
 public:
  explicit ClosingWatch(std::int64_t needed) { Need(needed); }

  void Need(std::int64_t needed) {
    needed_ = needed;
    least_ = std::min(least_, needed);
  }

  void Told(BreakerState to) {
    if (to == BreakerState::kClosed && !by_hand) RC_ASSERT(successes >= least_);
    if (to == BreakerState::kHalfOpen) {
      ++half_opens;
      successes = 0;
      least_ = needed_;
    }
  }

  bool by_hand = false;
  int half_opens = 0;
  std::int64_t successes = 0;  // of calls admitted since it is half-open

 private:
  std::int64_t needed_ = 0;
  std::int64_t least_ = std::numeric_limits<std::int64_t>::max();  // needed since it is half-open
};

class ManualClock final : public Clock {
 public:
  TimePoint Now() const override { return now; }
  void WaitUntil(TimePoint, Parker&) override {}

  TimePoint now{1000s};
};

struct Flight {
  std::optional<std::size_t> call;
  Ticket ticket;
  int half_opens;  // before it
};

// One step is a number: what to do, to which call, and how far time moves.
class Run {
 public:
  explicit Run(const Settings& settings)
      : settings_(settings),
        model_(settings),
        watch_(settings.max_requests),
        breaker_(OptionsFor(settings)) {}

  void Step(std::uint32_t step) {
    const std::uint32_t what = step % 16;
    const std::uint32_t more = step / 16;
    if (what < 5) {
      Admit(now_);
    } else if (what == 5) {
      Admit(now_ - 700ms);  // by who read the clock before others did
    } else if (what < 11) {
      End(more);
    } else if (what < 13) {
      now_ += Duration(1s) * (more % 5);
    } else if (what == 13) {
      now_ += Duration(100ms) * (more % 9);
    } else if (what == 14) {
      Throw();
    } else if (more % 8 == 0) {
      ByHand(more / 8);
    } else if (more % 8 < 4) {
      Update(more / 8);
    }
    clock_.now = now_;
    // Not each time: looking brings changes about.
    if (more % 3 == 0) Compare();
  }

 private:
  CircuitBreaker::Options OptionsFor(const Settings& settings) {
    const TripRule slow = {.name = "slow",
                           .tripped = [](const BreakerCounts&) { return false; },
                           .needs_slow_call = true};
    return {.max_requests = settings.max_requests,
            .interval = settings.interval,
            .bucket_period = settings.period,
            .last_calls = settings.last_calls,
            .open_time = [settings](std::uint64_t openings) { return settings.timeout * openings; },
            .probe_lease = settings.lease,
            .ramp = settings.ramp,
            .ramp_step = settings.ramp_step,
            .ready_to_trip = [settings](const auto& counts) { return settings.Trips(counts); },
            .rules = settings.slow_call > 0s ? std::vector{slow} : std::vector<TripRule>{},
            .slow_call = settings.slow_call,
            .on_state_change = [this](std::string_view, BreakerState,
                                      BreakerState to) { changes_.push_back(to); },
            .clock = &clock_};
  }

  void Update(std::uint32_t how) {
    settings_ = Other(settings_, how);
    RC_ASSERT(breaker_.Update(OptionsFor(settings_)).ok());
    model_.Update(settings_);
    watch_.Need(settings_.max_requests);
  }

  void Admit(TimePoint now) {
    auto ticket = breaker_.AdmitAt(now);
    const Model::Admission admission = model_.Admit(now);
    RC_ASSERT(ticket.ok() == admission.ok);
    Look();
    if (ticket.ok()) flights_.push_back({admission.call, *std::move(ticket), watch_.half_opens});
  }

  // Succeeds, fails, is ignored or dropped.
  void End(std::uint32_t how) {
    if (flights_.empty()) return;
    const auto at = flights_.begin() + static_cast<std::ptrdiff_t>(how / 8 % flights_.size());
    Flight flight = std::move(*at);
    flights_.erase(at);
    const Outcome outcome = how % 8 < 4   ? Outcome::kSuccess
                            : how % 8 < 6 ? Outcome::kFailure
                                          : Outcome::kIgnored;
    if (outcome == Outcome::kSuccess && flight.half_opens == watch_.half_opens) ++watch_.successes;
    if (how % 8 == 7) {
      flight.ticket = Ticket();
      if (flight.call) model_.Done(*flight.call, TimePoint{}, outcome);
    } else {
      flight.ticket.DoneAt(now_, outcome);
      if (flight.call) model_.Done(*flight.call, now_, outcome);
    }
    Look();
  }

  // A call whose function throws.
  void Throw() {
    bool ran = false;
    try {
      (void)breaker_.Execute([]() -> absl::Status { throw 1; });
    } catch (int) {
      ran = true;
    }
    const Model::Admission admission = model_.Admit(now_);
    RC_ASSERT(ran == admission.ok);
    if (admission.call) model_.Done(*admission.call, now_, Outcome::kFailure);
    Look();
  }

  void ByHand(std::uint32_t what) {
    (void)breaker_.StateAt(now_);
    Look();
    watch_.by_hand = true;
    if (what % 6 == 5) {
      RC_ASSERT(breaker_.RestoreAt(now_, breaker_.SnapshotAt(now_)).ok());
      model_.Restore(now_);
    } else if (what % 6 == 4) {
      breaker_.ResetAt(now_);
      model_.Reset(now_);
    } else {
      breaker_.SetModeAt(now_, static_cast<BreakerMode>(what % 6));
      model_.SetMode(static_cast<BreakerMode>(what % 6), now_);
    }
    Look();
    watch_.by_hand = false;
  }

  void Look() {
    for (const BreakerState to : std::exchange(changes_, {})) watch_.Told(to);
  }

  void Compare() {
    RC_ASSERT(breaker_.StateAt(now_) == model_.State(now_));
    RC_ASSERT(breaker_.CountsAt(now_) == model_.Counts(now_));
    Look();
  }

  Settings settings_;
  Model model_;
  ClosingWatch watch_;
  std::vector<BreakerState> changes_;
  ManualClock clock_;
  CircuitBreaker breaker_;
  std::deque<Flight> flights_;
  TimePoint now_{1000s};
};

TEST_CASE("a breaker does what the model does, whatever is done to it") {
  const Settings settings = GENERATE(from_range(kSettings));
  std::size_t steps_made = 0;
  test::Property(15, [&] {
    const auto steps = *rc::gen::resize(200, rc::gen::arbitrary<std::vector<std::uint32_t>>());
    Run run(settings);
    for (const std::uint32_t step : steps) run.Step(step);
    steps_made += steps.size();
  });
  CHECK(steps_made > 125'000);  // over a million and a half for the thirteen
}

}  // namespace
}  // namespace holdfast::circuit_breaker_model_test
