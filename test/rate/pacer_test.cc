#include "holdfast/rate/pacer.h"

#include <absl/status/status.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "holdfast/testing/fake_clock.h"
#include "test/support/catch.h"
#include "test/support/threads.h"

namespace holdfast::pacer_test {
namespace {

using namespace std::chrono_literals;
using testing::FakeClock;
using Options = Pacer::Options;

__extension__ using Wide = __int128;

constexpr std::int64_t kSecond = 1'000'000'000;

constexpr TimePoint At(Duration d) { return TimePoint{d}; }

TimePoint AtNanos(Wide nanos) { return At(Duration(static_cast<Duration::rep>(nanos))); }

Wide CeilDiv(Wide dividend, Wide divisor) { return (dividend + divisor - 1) / divisor; }

// The model in whole numbers, for a whole rate and times >= 0. A nanosecond is rate * units of
// them, where an interval has as many units as whole nanoseconds: so a unit is kSecond of them.
class Oracle {
 public:
  enum class Beginning {
    kExact,    // a row begins where the time is
    kOnUnits,  // it begins on a unit, as the pacer's do
  };

  Oracle(std::int64_t rate, std::int64_t slack, Beginning beginning = Beginning::kOnUnits)
      : nano_(Wide{rate} * (kSecond / rate)),
        interval_(Wide{kSecond} * (kSecond / rate)),
        slack_(slack * interval_),
        unit_(beginning == Beginning::kOnUnits ? kSecond : 1) {}

  std::optional<TimePoint> TryTakeAt(TimePoint now, Duration max_wait = Duration::max()) {
    const Wide here = CeilDiv(now.time_since_epoch().count() * nano_, unit_) * unit_;
    const TimePoint ready_at = !next_ || *next_ < here ? now : AtNanos(*next_ / nano_);
    if (ready_at - now > max_wait) return std::nullopt;
    next_ = interval_ + (next_ ? std::max(*next_, here - slack_) : here);
    return ready_at;
  }

 private:
  const Wide nano_;
  const Wide interval_;
  const Wide slack_;
  const Wide unit_;
  std::optional<Wide> next_;
};

TEST_CASE("a pacer spaces events out") {
  Pacer pacer({.rate = 10});
  CHECK(pacer.TakeAt(At(1s)) == At(1s));
  CHECK(pacer.TakeAt(At(1s)) == At(1100ms));
  CHECK(pacer.TakeAt(At(1s)) == At(1200ms));
  CHECK(pacer.TakeAt(At(1250ms)) == At(1300ms));
  CHECK(pacer.TakeAt(At(1400ms)) == At(1400ms));
}

// The two documented examples of go.uber.org/ratelimit, to the nanosecond.
TEST_CASE("unused time is made up for, as in uber's example") {
  Pacer pacer({.rate = 100});
  CHECK(pacer.TakeAt(At(0ms)) == At(0ms));
  TimePoint now = At(45ms);
  std::vector<Duration> since_previous;
  for (int i = 0; i < 10; ++i) {
    const TimePoint previous = now;
    now = pacer.TakeAt(now);
    since_previous.push_back(now - previous);
  }
  CHECK(since_previous ==
        std::vector<Duration>{0ms, 0ms, 0ms, 0ms, 5ms, 10ms, 10ms, 10ms, 10ms, 10ms});
}

TEST_CASE("without slack every event keeps its distance, as in uber's example") {
  Pacer pacer({.rate = 100, .slack = 0});
  TimePoint now = At(0ms);
  for (int i = 0; i < 6; ++i) {
    CHECK(pacer.TakeAt(now) == At(i * 10ms));
    now = At(i * 10ms);
  }
  CHECK(pacer.TakeAt(At(62ms)) == At(62ms));
  CHECK(pacer.TakeAt(At(63ms)) == At(72ms));
}

// uber's TestSlack: for two seconds a slow pacer holds up the only user of a fast one, which
// gathers slack; then two greedy users use it up.
TEST_CASE("slack is used up once") {
  const auto [slack, expected] =
      GENERATE(table<std::int64_t, int>({{0, 120}, {10, 130}, {20, 140}, {150, 270}}));
  Pacer slow({.rate = 10, .slack = 0});
  Pacer fast({.rate = 100, .slack = slack});
  struct User {
    TimePoint now;
    bool held_up = false;
    bool waits_for_slow = held_up;
  };
  std::array<User, 3> users = {{{.now = At(0s), .held_up = true}, {At(2s)}, {At(2s)}}};
  int count = 0;
  for (;;) {
    User& user = *std::ranges::min_element(users, {}, &User::now);
    if (user.now >= At(3s)) break;
    user.now = (user.waits_for_slow ? slow : fast).TakeAt(user.now);
    count += !user.waits_for_slow && user.now < At(3s) ? 1 : 0;
    user.waits_for_slow = user.held_up && !user.waits_for_slow;
  }
  CHECK(count == expected);
}

TEST_CASE("no more than the slack is kept, and none at first") {
  Pacer pacer({.rate = 10, .slack = 3});
  CHECK(pacer.TakeAt(At(1h)) == At(1h));
  CHECK(pacer.TakeAt(At(1h)) == At(1h + 100ms));
  for (int i = 0; i < 4; ++i) CHECK(pacer.TakeAt(At(1000h)) == At(1000h));
  CHECK(pacer.TakeAt(At(1000h)) == At(1000h + 100ms));
  // Two places of the four are used, and two are there again.
  for (int i = 0; i < 2; ++i) CHECK(pacer.TakeAt(At(1000h + 350ms)) == At(1000h + 350ms));
  CHECK(pacer.TakeAt(At(1000h + 350ms)) == At(1000h + 400ms));
}

TEST_CASE("places are truncated to nanoseconds, and never drift") {
  const std::int64_t rate = GENERATE(1, 3, 7, 60, 1'000, 12'345, 99'991, 1'000'003, 299'999'999,
                                     333'333'333, 500'000'001, 999'999'937, 1'000'000'000);
  Pacer pacer({.rate = static_cast<double>(rate), .slack = GENERATE(0, 10)});
  int wrong = 0;
  for (std::int64_t k = 0; k < 300'000; ++k) {
    wrong += pacer.TakeAt(At(0s)) == AtNanos(Wide{k} * kSecond / rate) ? 0 : 1;
  }
  CHECK(wrong == 0);
}

// Every time at which somebody could act is asked for, so that the row goes on from 0: then there
// are as many places as the rate says, and no oracle is needed to count them.
TEST_CASE("long runs are paced exactly as the rate says") {
  const auto [rate, slack, step, steps] =
      GENERATE(table<std::int64_t, std::int64_t, std::int64_t, std::int64_t>({
          {1, 1, 1'000'000, 200'000},
          {3, 1, 333'333, 300'000},
          {7, 10, 999'999'999, 100'000},
          {10, 10, 99'999, 300'000},
          {12'345, 17, 81'007, 300'000},
          {99'991, 5, 10'007, 300'000},
          {1'000'000, 3, 999, 300'000},
          {333'333'333, 100, 299, 50'000},
          {999'999'937, 50, 1, 300'000},
          {999'999'937, 50, 51, 50'000},
      }));
  Pacer pacer({.rate = static_cast<double>(rate), .slack = slack});
  std::int64_t granted = 0;
  TimePoint now = At(0s);
  for (std::int64_t i = 0; i < steps; ++i) {
    now = At(Duration(i * step));
    while (pacer.TryTakeAt(now)) ++granted;
  }
  // Those whose place, truncated, is not after `now`.
  const Wide expected = CeilDiv((now.time_since_epoch().count() + 1) * Wide{rate}, kSecond);
  CHECK(granted == static_cast<std::int64_t>(expected));
}

// Without slack a row begins anew wherever somebody asks too late for a place.
TEST_CASE("long runs that are too late for most places grant exactly what the oracle does") {
  const auto [rate, step, steps] = GENERATE(table<std::int64_t, std::int64_t, std::int64_t>({
      {1, 300'000'000, 100'000},
      {3, 333'333, 300'000},
      {7, 99'999'999, 300'000},
      {12'345, 81'007, 300'000},
      {12'345, 1'234, 300'000},
      {1'000'000, 999, 300'000},
      {333'333'333, 2, 300'000},
      {999'999'937, 1, 300'000},
  }));
  Pacer pacer({.rate = static_cast<double>(rate), .slack = 0});
  Oracle oracle(rate, 0);
  std::int64_t granted = 0;
  std::int64_t expected = 0;
  for (std::int64_t i = 0; i < steps; ++i) {
    const TimePoint now = At(Duration(i * step));
    granted += pacer.TryTakeAt(now) ? 1 : 0;
    expected += oracle.TryTakeAt(now, 0ns) ? 1 : 0;
  }
  CHECK(granted == expected);
}

// Callers come early and late, alone and in crowds, a little less often than the rate in all: so
// that rows go on for long, are made up for, end and begin anew.
int CountWrong(std::int64_t rate, std::int64_t slack, Oracle::Beginning beginning,
               Duration most_late) {
  Pacer pacer({.rate = static_cast<double>(rate), .slack = slack});
  Oracle oracle(rate, slack, beginning);
  std::mt19937_64 gen(42);
  std::uniform_int_distribution<std::int64_t> wait(0, 2 * kSecond / rate);
  int wrong = 0;
  TimePoint now = At(1h + 1ns);
  for (int i = 0; i < 200'000; ++i) {
    const Duration late = pacer.TakeAt(now) - *oracle.TryTakeAt(now);
    wrong += late >= 0ns && late <= most_late ? 0 : 1;
    if (i % 4 != 0) now += Duration(i % 64 == 1 ? 20 * wait(gen) : wait(gen));
  }
  return wrong;
}

TEST_CASE("every place is the oracle's, whoever comes when") {
  const std::int64_t rate = GENERATE(1, 3, 7, 60, 1'000, 12'345, 99'991, 7'654'321, 300'000'007,
                                     500'000'001, 999'999'937, 1'000'000'000);
  const std::int64_t slack = GENERATE(0, 1, 10);
  CAPTURE(rate, slack);
  const Duration most_late = kSecond % rate == 0 ? 0ns : 2ns;
  CHECK(CountWrong(rate, slack, Oracle::Beginning::kOnUnits, 0ns) == 0);
  CHECK(CountWrong(rate, slack, Oracle::Beginning::kExact, most_late) == 0);
}

TEST_CASE("an interval of whole nanoseconds is kept to, though its rate is no number") {
  const Duration interval =
      GENERATE(1ns, 3ns, 7ns, 333ns, 7us, 333us, 7ms, 49ms, 7s, 1h, 365 * 24h, 100 * 365 * 24h);
  const std::int64_t most = Duration::max() / interval;
  Pacer pacer({.rate = Every(interval)});
  int wrong = 0;
  for (std::int64_t k = 0; k < std::min<std::int64_t>(most, 100'000); ++k) {
    wrong += pacer.TakeAt(At(0s)) == At(k * interval) ? 0 : 1;
  }
  CHECK(wrong == 0);
}

TEST_CASE("a third of a nanosecond's rate is three nanoseconds") {
  Pacer pacer({.rate = 1e9 / 3});
  for (int k = 0; k < 1'000; ++k) CHECK(pacer.TakeAt(At(0s)) == At(k * 3ns));
}

// A double is mantissa / 2^shift, exactly. What is lost of one of many bits comes to a hundredth of
// a nanosecond in the longest of these runs, which is eight years.
TEST_CASE("paces that are no whole numbers do not drift either") {
  const auto [rate, most_late] = GENERATE(table<double, Duration>({
      {12'345.6875, 0ns},
      {0.37109375, 0ns},
      {2.5, 0ns},
      {1'000'000.1, 0ns},
      {299'999'999.9, 0ns},
      {777'777'777.7, 0ns},
      {1'234.1, 1ns},
      {0.7, 1ns},
      {0.0012345, 1ns},
  }));
  int exponent = 0;
  const auto mantissa = static_cast<std::int64_t>(std::ldexp(std::frexp(rate, &exponent), 53));
  const int shift = 53 - exponent;
  Pacer pacer({.rate = rate});
  int wrong = 0;
  for (std::int64_t k = 0; k < 300'000; ++k) {
    const TimePoint exact = AtNanos((Wide{k} * kSecond << shift) / mantissa);
    const Duration late = pacer.TakeAt(At(0s)) - exact;
    wrong += late >= 0ns && late <= most_late ? 0 : 1;
  }
  CHECK(wrong == 0);
}

TEST_CASE("an event a year is spaced by a year, and one in an age comes never again") {
  constexpr Duration kYear = 365 * 24h;
  Pacer yearly({.rate = Every(kYear), .slack = 2});
  for (int k = 0; k < 5; ++k) CHECK(yearly.TakeAt(At(0s)) == At(k * kYear));
  for (int k = 0; k < 3; ++k) CHECK(yearly.TakeAt(At(50 * kYear)) == At(50 * kYear));
  CHECK(yearly.TakeAt(At(50 * kYear)) == At(51 * kYear));
  for (const double rate : {1e-10, 1e-300, std::numeric_limits<double>::denorm_min()}) {
    FakeClock clock;
    Pacer never({.rate = rate, .clock = &clock});
    CHECK(never.Take().ok());
    CHECK(never.TakeAt(At(1h)) == TimePoint::max());
    CHECK_FALSE(never.TryTakeAt(At(1h), Duration::max()));
    CHECK(never.Take().code() == absl::StatusCode::kResourceExhausted);
    CHECK(clock.Now() == At(0s));
  }
}

TEST_CASE("an infinite rate lets all through, whatever the time") {
  Pacer pacer({.rate = kInfiniteRate, .slack = 0});
  for (int i = 0; i < 100; ++i) CHECK(pacer.TakeAt(At(1s)) == At(1s));
  CHECK(pacer.TryTakeAt(At(0s)) == At(0s));
  CHECK(pacer.Take().ok());
}

TEST_CASE("a place that would come too late is not taken") {
  Pacer pacer({.rate = 10});
  CHECK(pacer.TryTakeAt(At(0s)) == At(0s));
  CHECK_FALSE(pacer.TryTakeAt(At(0s)));
  CHECK_FALSE(pacer.TryTakeAt(At(0s), 99'999'999ns));
  CHECK_FALSE(pacer.TryTakeAt(At(0s), -1s));
  CHECK(pacer.TryTakeAt(At(0s), 100ms) == At(100ms));
  CHECK(pacer.TakeAt(At(0s)) == At(200ms));
  FakeClock clock;
  Pacer on_clock({.rate = 10, .clock = &clock});
  CHECK(on_clock.TryTake() == At(0s));
  CHECK_FALSE(on_clock.TryTake(99ms));
  clock.Advance(1ms);
  CHECK(on_clock.TryTake(99ms) == At(100ms));
}

TEST_CASE("Take sleeps until its turn, and not when it would be too late") {
  FakeClock clock;
  Pacer pacer({.rate = 10, .slack = 0, .clock = &clock});
  CHECK(pacer.Take().ok());
  CHECK(clock.Now() == At(0s));
  CHECK(pacer.Take().ok());
  CHECK(clock.Now() == At(100ms));
  const absl::Status refused = pacer.Take({.deadline = At(199ms)});
  CHECK(refused.code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(RejectionOf(refused)->kind == RejectionKind::kDeadline);
  CHECK(clock.Now() == At(100ms));
  CHECK(pacer.Take({.deadline = At(200ms)}).ok());
  CHECK(clock.Now() == At(200ms));
  clock.Advance(1s);
  CHECK(pacer.Take({.deadline = At(1199ms)}).code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(pacer.Take({.deadline = At(1200ms)}).ok());
}

// Threads that sleep on a pacer, to be stopped one by one.
class Sleepers {
 public:
  explicit Sleepers(Pacer& pacer, FakeClock& clock) : pacer_(pacer), clock_(clock) {
    clock.set_auto_advance(false);
  }

  void Add() {
    const auto i = sleepers_.size();
    sleepers_.push_back(std::make_unique<Sleeper>());
    Sleeper& sleeper = *sleepers_.back();
    sleeper.thread = std::thread(
        [this, &sleeper] { sleeper.status = pacer_.Take({.stop = sleeper.stop.get_token()}); });
    clock_.AwaitWaiters(static_cast<int>(i) + 1);
  }

  absl::Status Stop(std::size_t i) {
    sleepers_[i]->stop.request_stop();
    return Join(i);
  }

  absl::Status Join(std::size_t i) {
    sleepers_[i]->thread.join();
    return sleepers_[i]->status;
  }

 private:
  struct Sleeper {
    std::stop_source stop;
    absl::Status status;
    std::thread thread;
  };

  Pacer& pacer_;
  FakeClock& clock_;
  std::vector<std::unique_ptr<Sleeper>> sleepers_;
};

TEST_CASE("who is stopped gives the last place back, newest first all of them") {
  FakeClock clock;
  Pacer pacer({.rate = 1, .slack = 0, .name = "api", .clock = &clock});
  CHECK(pacer.Take().ok());
  Sleepers sleepers(pacer, clock);
  for (int i = 0; i < 3; ++i) sleepers.Add();
  for (const std::size_t i : {2u, 1u, 0u}) {
    const absl::Status stopped = sleepers.Stop(i);
    CHECK(stopped.code() == absl::StatusCode::kCancelled);
    CHECK(RejectionOf(stopped)->name == "api");
  }
  CHECK(pacer.TakeAt(At(0s)) == At(1s));
  std::stop_source stopped;
  stopped.request_stop();
  clock.Advance(2s);
  CHECK(pacer.Take({.stop = stopped.get_token()}).code() == absl::StatusCode::kCancelled);
  CHECK(pacer.TryTake() == At(2s));
}

TEST_CASE("a place that is not the last one any more stays empty") {
  FakeClock clock;
  Pacer pacer({.rate = 1, .slack = 0, .clock = &clock});
  CHECK(pacer.Take().ok());
  Sleepers sleepers(pacer, clock);
  for (int i = 0; i < 3; ++i) sleepers.Add();
  CHECK(sleepers.Stop(0).code() == absl::StatusCode::kCancelled);
  CHECK_FALSE(pacer.TryTakeAt(At(0s), 3'999ms));
  CHECK(sleepers.Stop(2).code() == absl::StatusCode::kCancelled);
  clock.Advance(2s);
  CHECK(sleepers.Join(1).ok());
  CHECK(pacer.TakeAt(clock.Now()) == At(3s));
}

TEST_CASE("the first place of all, given back, is the first again") {
  FakeClock clock;
  Pacer pacer({.rate = 1, .clock = &clock});
  CHECK(pacer.TakeAt(At(1s)) == At(1s));
  Sleepers sleepers(pacer, clock);
  sleepers.Add();
  CHECK(sleepers.Stop(0).code() == absl::StatusCode::kCancelled);
  CHECK(pacer.TakeAt(At(0s)) == At(2s));
}

TEST_CASE("an older now brings no place back") {
  Pacer pacer({.rate = 10, .slack = 1});
  CHECK(pacer.TakeAt(At(0s)) == At(0s));
  int granted = 0;
  for (int i = 0; i < 1000; ++i) {
    granted += pacer.TryTakeAt(At(i % 2 == 0 ? 1s : 0s)) ? 1 : 0;
  }
  CHECK(granted == 2);
  CHECK(pacer.TakeAt(At(0s)) == At(1100ms));
}

TEST_CASE("times at the ends of what can be said do a pacer no harm") {
  const double rate = GENERATE(1.0, 3.0, 999'999'937.0, 1e9, 1e-9);
  const std::int64_t slack =
      GENERATE(std::int64_t{0}, std::int64_t{10}, std::numeric_limits<std::int64_t>::max());
  Pacer pacer({.rate = rate, .slack = slack});
  CHECK(pacer.TakeAt(TimePoint::min()) == TimePoint::min());
  CHECK(pacer.TakeAt(TimePoint::min()) > TimePoint::min());
  CHECK(pacer.TryTakeAt(At(0s)) == At(0s));
  CHECK(pacer.TryTakeAt(TimePoint::max() - 1ns) == TimePoint::max() - 1ns);
  Pacer late({.rate = rate, .slack = 0});
  CHECK(late.TakeAt(TimePoint::max() - 1ns) == TimePoint::max() - 1ns);
  CHECK(late.TakeAt(TimePoint::max() - 1ns) == TimePoint::max());
  CHECK(late.TakeAt(TimePoint::min()) == TimePoint::max());
  CHECK(late.TakeAt(TimePoint::max()) == TimePoint::max());
}

TEST_CASE("a slack without bounds makes up for all that was missed, and no more") {
  Pacer pacer({.rate = 1, .slack = std::numeric_limits<std::int64_t>::max()});
  CHECK(pacer.TakeAt(At(0s)) == At(0s));
  int granted = 0;
  while (pacer.TryTakeAt(At(1h))) ++granted;
  CHECK(granted == 3600);
}

TEST_CASE("a pacer refuses options that make no sense") {
  for (const double rate : {std::nan(""), -1.0, 0.0, -kInfiniteRate, 1.000001e9}) {
    const Options options{.rate = rate, .name = "api"};
    CHECK_THROWS_WITH(Pacer(options), std::string(Validate(options).message()));
    CHECK_THAT(std::string(Validate(options).message()), test::ContainsSubstring("api: rate"));
  }
  CHECK_THROWS_AS(Pacer({.rate = 1, .slack = -1}), std::invalid_argument);
  CHECK_THAT(std::string(Validate(Options{.rate = 1, .slack = -1}).message()),
             test::ContainsSubstring("slack must be >= 0, not -1"));
  const Pacer pacer({.rate = 2.5, .name = "api"});
  CHECK(pacer.rate() == 2.5);
  CHECK(pacer.slack() == 10);
  CHECK(pacer.name() == "api");
}

// All threads share one clock reading, so the bound is exact.
TEST_CASE("threads share the slack exactly") {
  Pacer pacer({.rate = 1000, .slack = 399'999});
  CHECK(pacer.TryTakeAt(At(0s)));
  std::atomic<int> granted = 0;
  test::InThreads(4, [&](int) {
    for (int i = 0; i < 200'000; ++i) granted += pacer.TryTakeAt(At(1h)) ? 1 : 0;
  });
  CHECK(granted == 400'000);
  CHECK(pacer.TakeAt(At(1h)) == At(1h + 1ms));
}

TEST_CASE("threads get each place once") {
  Pacer pacer({.rate = 7, .slack = 0});
  std::array<std::vector<TimePoint>, 4> places;
  test::InThreads(4, [&](int thread) {
    for (int i = 0; i < 50'000; ++i) {
      places[static_cast<std::size_t>(thread)].push_back(pacer.TakeAt(At(0s)));
    }
  });
  std::vector<TimePoint> all;
  for (const std::vector<TimePoint>& each : places) {
    CHECK(std::ranges::is_sorted(each));
    all.insert(all.end(), each.begin(), each.end());
  }
  std::ranges::sort(all);
  int wrong = 0;
  for (std::int64_t k = 0; k < std::ssize(all); ++k) {
    wrong += all[static_cast<std::size_t>(k)] == AtNanos(Wide{k} * kSecond / 7) ? 0 : 1;
  }
  CHECK(wrong == 0);
}

// A clock that stands still, on which who waits is stopped instead.
class StoppingClock final : public Clock {
 public:
  TimePoint Now() const override { return At(1h); }
  void WaitUntil(TimePoint, Parker&) override { stop->request_stop(); }

  static thread_local std::stop_source* stop;
};
thread_local std::stop_source* StoppingClock::stop = nullptr;

TEST_CASE("threads that give places back take none from others, and mint none") {
  constexpr int kFree = 10'000;
  StoppingClock clock;
  Pacer pacer({.rate = 1000, .slack = kFree - 1, .clock = &clock});
  CHECK(pacer.TryTakeAt(At(0s)));
  std::atomic<int> acted = 0;
  std::atomic<int> stopped = 0;
  int kept = 0;
  int wrong = 0;
  TimePoint last_kept = At(1h);
  test::InThreads(4, [&](int thread) {
    for (int i = 0; i < 10'000; ++i) {
      std::stop_source stop;
      StoppingClock::stop = &stop;
      (pacer.Take({.stop = stop.get_token()}).ok() ? acted : stopped) += 1;
      if (thread != 0 || i % 8 != 0) continue;
      const TimePoint ready_at = pacer.TakeAt(At(1h));
      if (ready_at == At(1h)) {
        ++acted;
      } else {
        ++kept;
        wrong += ready_at > last_kept ? 0 : 1;
        last_kept = ready_at;
      }
    }
  });
  CHECK(acted == kFree);
  CHECK(wrong == 0);
  // Of those to come, the kept ones are not there again, and not more are lost than were given up.
  const TimePoint next = pacer.TakeAt(At(1h));
  CHECK(next > last_kept);
  CHECK(next <= At(1h + (kept + stopped + 1) * 1ms));
}

}  // namespace
}  // namespace holdfast::pacer_test
