// New options of a Pacer while its row goes on.
#include <absl/status/status.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

#include "holdfast/rate/pacer.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/catch.h"
#include "test/support/rapidcheck.h"
#include "test/support/threads.h"

namespace holdfast::pacer_update_test {
namespace {

using namespace std::chrono_literals;
using testing::FakeClock;
using Options = Pacer::Options;

__extension__ using Wide = __int128;

constexpr std::int64_t kSecond = 1'000'000'000;

constexpr TimePoint At(Duration d) { return TimePoint{d}; }

TEST_CASE("the next place is a new interval behind the last one") {
  Pacer pacer({.rate = 10, .slack = 0});
  for (int i = 0; i < 3; ++i) CHECK(pacer.TakeAt(At(0s)) == At(i * 100ms));
  CHECK(pacer.Update({.rate = 100, .slack = 0}).ok());
  CHECK(pacer.rate() == 100);
  for (int i = 1; i <= 3; ++i) CHECK(pacer.TakeAt(At(0s)) == At(200ms + i * 10ms));
  CHECK(pacer.Update({.rate = 2, .slack = 0}).ok());
  CHECK(pacer.TakeAt(At(0s)) == At(730ms));
  CHECK(pacer.TakeAt(At(5s)) == At(5s));
  CHECK(pacer.TakeAt(At(5s)) == At(5500ms));
}

TEST_CASE("who had to wait for an hour under the old rate waits no longer than under the new one") {
  for (const double rate : {1.0 / 3600, 1e-12}) {
    Pacer pacer({.rate = rate});
    CHECK(pacer.TakeAt(At(1s)) == At(1s));
    CHECK_FALSE(pacer.TryTakeAt(At(2s), 1000s));
    CHECK(pacer.Update({.rate = 10}).ok());
    CHECK(pacer.TakeAt(At(1s)) == At(1100ms));
  }
}

TEST_CASE("no more than the new slack is kept, also of the time before") {
  Pacer pacer({.rate = 10, .slack = 5});
  CHECK(pacer.TakeAt(At(0s)) == At(0s));
  CHECK(pacer.Update({.rate = 10, .slack = 1}).ok());
  CHECK(pacer.slack() == 1);
  for (int i = 0; i < 2; ++i) CHECK(pacer.TakeAt(At(10s)) == At(10s));
  CHECK(pacer.TakeAt(At(10s)) == At(10s + 100ms));
  CHECK(pacer.Update({.rate = 100, .slack = 3}).ok());
  for (int i = 0; i < 4; ++i) CHECK(pacer.TakeAt(At(20s)) == At(20s));
  CHECK(pacer.TakeAt(At(20s)) == At(20s + 10ms));
  // As many are missing now as were taken of them.
  CHECK(pacer.Update({.rate = 100, .slack = 0}).ok());
  CHECK(pacer.TakeAt(At(20s)) == At(20s + 20ms));
}

TEST_CASE("before the first place there is no slack, whatever changes") {
  Pacer pacer({.rate = 10, .slack = 5});
  CHECK(pacer.Update({.rate = 100, .slack = 7}).ok());
  CHECK(pacer.Update({.rate = kInfiniteRate, .slack = 7}).ok());
  CHECK(pacer.Update({.rate = 10, .slack = 7}).ok());
  CHECK(pacer.TakeAt(At(1h)) == At(1h));
  CHECK(pacer.TakeAt(At(1h)) == At(1h + 100ms));
}

TEST_CASE("an infinite rate lets all through, and the row begins anew after it") {
  Pacer pacer({.rate = 10, .slack = 5});
  for (int i = 0; i < 4; ++i) CHECK(pacer.TakeAt(At(0s)) == At(i * 100ms));
  CHECK(pacer.Update({.rate = kInfiniteRate}).ok());
  for (int i = 0; i < 100; ++i) CHECK(pacer.TakeAt(At(1ms)) == At(1ms));
  CHECK(pacer.Update({.rate = 1000, .slack = 5}).ok());
  SECTION("with no slack") {
    CHECK(pacer.Update({.rate = 100, .slack = 5}).ok());
    CHECK(pacer.TakeAt(At(1h)) == At(1h));
    CHECK(pacer.TakeAt(At(1h)) == At(1h + 10ms));
    CHECK(pacer.TakeAt(At(2h)) == At(2h));
    CHECK(pacer.TakeAt(At(2h)) == At(2h));
  }
  SECTION("behind the places from before that") { CHECK(pacer.TakeAt(At(1ms)) == At(301ms)); }
}

TEST_CASE("the same options change nothing of a row") {
  FakeClock clock;
  Pacer pacer({.rate = 3, .slack = 2, .name = "api", .clock = &clock});
  CHECK(pacer.TakeAt(At(0s)) == At(0s));
  const TimePoint second = pacer.TakeAt(At(0s));
  for (int i = 0; i < 100; ++i) CHECK(pacer.Update(pacer.options()).ok());
  CHECK(pacer.TakeAt(At(0s)) == At(666'666'666ns));
  CHECK(second == At(333'333'333ns));
  CHECK(pacer.options().name == "api");
  CHECK(pacer.options().clock == &clock);
  CHECK(pacer.options().rate == 3);
  CHECK(pacer.options().slack == 2);
}

TEST_CASE("what a pacer refuses changes nothing of it") {
  FakeClock clock;
  FakeClock other;
  Pacer pacer({.rate = 10, .slack = 0, .name = "api", .clock = &clock});
  CHECK(pacer.TakeAt(At(0s)) == At(0s));
  for (const Options& wrong :
       {Options{.rate = 0}, Options{.rate = 2e9}, Options{.rate = 1, .slack = -1},
        Options{.rate = 1, .name = "web"}, Options{.rate = 1, .clock = &other}}) {
    const absl::Status status = pacer.Update(wrong);
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    CHECK_THAT(std::string(status.message()), test::StartsWith("Pacer api: "));
  }
  CHECK(pacer.TakeAt(At(0s)) == At(100ms));
  CHECK(pacer.Update({.rate = 20, .slack = 0, .name = "api", .clock = &clock}).ok());
  CHECK(pacer.TakeAt(At(0s)) == At(150ms));
}

TEST_CASE("who waits keeps its place, and one that is given back after a change stays empty") {
  FakeClock clock;
  clock.set_auto_advance(false);
  Pacer pacer({.rate = 1, .slack = 0, .clock = &clock});
  CHECK(pacer.Take().ok());
  std::stop_source stop;
  absl::Status stopped;
  absl::Status waited;
  std::thread waits([&] { waited = pacer.Take(); });
  clock.AwaitWaiters(1);
  std::thread stops([&] { stopped = pacer.Take({.stop = stop.get_token()}); });
  clock.AwaitWaiters(2);
  CHECK(pacer.Update({.rate = 10, .slack = 0}).ok());
  stop.request_stop();
  stops.join();
  CHECK(stopped.code() == absl::StatusCode::kCancelled);
  CHECK(pacer.TakeAt(clock.Now()) == At(2100ms));
  clock.Advance(999ms);
  clock.AwaitWaiters(1);
  clock.Advance(1ms);
  waits.join();
  CHECK(waited.ok());
}

TEST_CASE("rows go on at the ends of what a time can say") {
  Pacer pacer({.rate = 1e9, .slack = std::numeric_limits<std::int64_t>::max()});
  const std::array<double, 5> rates = {999'999'937.0, 600'000'000.0, 1e-9, 1e9, 3};
  SECTION("the last") {
    CHECK(pacer.TakeAt(TimePoint::max() - 1ns) == TimePoint::max() - 1ns);
    for (const double rate : rates) {
      CHECK(pacer.Update({.rate = rate}).ok());
      CHECK(pacer.TakeAt(At(0s)) == TimePoint::max());
    }
  }
  SECTION("the first") {
    CHECK(pacer.TakeAt(TimePoint::min()) == TimePoint::min());
    for (const double rate : rates) {
      CHECK(pacer.Update({.rate = rate, .slack = 0}).ok());
      CHECK(pacer.TakeAt(TimePoint::min()) > TimePoint::min());
    }
  }
}

// In whole numbers: of a whole rate, whose axis has as many units to an interval as that has whole
// nanoseconds. A part is what makes each unit of the rates in use a whole number of them.
class Model {
 public:
  explicit Model(const std::vector<std::int64_t>& rates) {
    for (const std::int64_t rate : rates) parts_ = std::lcm(parts_, PartsFor(rate));
  }

  void Update(std::int64_t rate, std::int64_t slack) {
    unit_ = Wide{parts_ / PartsFor(rate)} * kSecond;
    interval_ = unit_ * (kSecond / rate);
    slack_ = slack;
    if (last_) last_ = OnUnits(*last_);
  }

  TimePoint TakeAt(TimePoint now) {
    const Wide here = OnUnits(Wide{now.time_since_epoch().count()} * parts_);
    const Wide next = last_ ? *last_ + interval_ : here - 1;
    last_ = last_ ? std::max(next, here - slack_ * interval_) : here;
    return next < here ? now : TimePoint(Duration(static_cast<Duration::rep>(next / parts_)));
  }

 private:
  // To a nanosecond, such that a unit of the rate is kSecond of them.
  static std::int64_t PartsFor(std::int64_t rate) { return rate * (kSecond / rate); }
  Wide OnUnits(Wide place) const { return (place + unit_ - 1) / unit_ * unit_; }

  std::int64_t parts_ = 1;
  Wide unit_ = 1;
  Wide interval_ = 1;
  Wide slack_ = 0;
  std::optional<Wide> last_;
};

struct Event {
  TimePoint ready_at;
  Duration interval;  // when it was taken; cut to nanoseconds
  std::int64_t slack;
};

// From one event to another there are at least the intervals of what was taken in between, but for
// the slack of the first: what is documented.
bool SpacedOut(const std::vector<Event>& events, Duration rounding) {
  for (std::size_t i = 0; i < events.size(); ++i) {
    Duration least = -events[i].slack * (events[i].interval + 1ns) - rounding;
    for (std::size_t j = i + 1; j < events.size(); ++j) {
      least += events[j].interval;
      if (events[j].ready_at - events[i].ready_at < least) return false;
    }
  }
  return true;
}

TEST_CASE("every place is the model's, and as far behind the one before as it must be") {
  test::Property([] {
    const std::vector<std::int64_t> rates = {
        *rc::gen::element<std::int64_t>(3, 7, 60, 12'345, 99'991, 500'000'001),
        *rc::gen::element<std::int64_t>(1, 10, 1000, 1'000'000'000)};
    Model model(rates);
    std::int64_t rate = rates[0];
    std::int64_t slack = *rc::gen::inRange(0, 4);
    Pacer pacer({.rate = static_cast<double>(rate), .slack = slack});
    model.Update(rate, slack);
    std::vector<Event> events;
    TimePoint now = At(1h);
    Duration rounding = 2ns;
    const int steps = *rc::gen::inRange(1, 200);
    for (int step = 0; step < steps; ++step) {
      if (*rc::gen::inRange(0, 5) == 0) {
        rate = *rc::gen::elementOf(rates);
        slack = *rc::gen::inRange(0, 6);
        RC_ASSERT(pacer.Update({.rate = static_cast<double>(rate), .slack = slack}).ok());
        model.Update(rate, slack);
        rounding += 2ns;
      } else {
        const TimePoint ready_at = pacer.TakeAt(now);
        RC_ASSERT(ready_at == model.TakeAt(now));
        events.push_back({ready_at, Duration(kSecond / rate), slack});
        now += Duration(*rc::gen::inRange<std::int64_t>(0, 3 * kSecond / rate + 2));
      }
    }
    RC_ASSERT(SpacedOut(events, rounding));
  });
}

// All threads ask at one time, so that no place is kept: each is an interval behind another one,
// that of the rate under which it was taken.
TEST_CASE("threads get each place once while the rate changes") {
  constexpr int kEach = 20'000;
  constexpr std::array<Duration, 3> kIntervals = {1000ns, 1010ns, 1024ns};
  Pacer pacer({.rate = Every(kIntervals[0]), .slack = 0});
  std::array<std::vector<TimePoint>, 3> places;
  std::atomic<int> running = 3;
  std::atomic<int> wrong = 0;
  test::InThreads(5, [&](int thread) {
    if (thread < 3) {
      for (int i = 0; i < kEach; ++i)
        places[static_cast<std::size_t>(thread)].push_back(pacer.TakeAt(At(0s)));
      --running;
    } else {
      for (std::size_t i = 0; running > 0; ++i) {
        if (!pacer.Update({.rate = Every(kIntervals[i % 3]), .slack = 0}).ok()) ++wrong;
        const Options options = pacer.options();
        if (options.rate > Every(kIntervals[0]) || options.rate < Every(kIntervals[2])) ++wrong;
        if (i % 16 == 0) std::this_thread::yield();
      }
    }
  });
  CHECK(wrong == 0);
  std::vector<TimePoint> all;
  for (const auto& each : places) {
    CHECK(std::ranges::is_sorted(each));
    all.insert(all.end(), each.begin(), each.end());
  }
  std::ranges::sort(all);
  REQUIRE(all.size() == std::size_t{3} * kEach);
  int misplaced = 0;
  for (std::size_t i = 1; i < all.size(); ++i) {
    if (std::ranges::find(kIntervals, all[i] - all[i - 1]) == kIntervals.end()) ++misplaced;
  }
  CHECK(misplaced == 0);
}

}  // namespace
}  // namespace holdfast::pacer_update_test
