#include "holdfast/timeout/adaptive_timeout.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <latch>
#include <limits>
#include <memory>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "holdfast/fallback/fallback.h"
#include "holdfast/rate/rate_limit.h"
#include "holdfast/retry/retry.h"
#include "holdfast/stack/stack.h"
#include "holdfast/testing/fake_clock.h"
#include "holdfast/timeout/timeout.h"
#include "test/support/catch.h"
#include "test/support/threads.h"

namespace holdfast::adaptive_timeout_test {
namespace {

using namespace std::chrono_literals;
using testing::FakeClock;

// Answers after `latency`, or gives up at the call's deadline.
class Service {
 public:
  explicit Service(FakeClock& clock) : clock_(clock) {}

  absl::Status operator()(Call& call) {
    const Duration left = SaturatingSub(call.deadline(), clock_.Now());
    clock_.Advance(std::min(latency, left));
    if (latency <= left) return answer;
    ++timeouts;
    return absl::DeadlineExceededError("no answer in time");
  }

  Duration latency = 10ms;
  absl::Status answer = absl::OkStatus();
  int timeouts = 0;

 private:
  FakeClock& clock_;
};

// A timeout that has learned that the service takes 10 ms, so a limit of 20 ms.
struct Scene {
  explicit Scene(AdaptiveTimeoutOptions options = {}, LatencyQuantile::Options latency_options = {})
      : latencies(std::make_shared<LatencyQuantile>(latency_options)), timeout(latencies, options) {
    for (int i = 0; i < 1000; ++i) (void)Run();
  }

  absl::Status Run(const CallOptions& options = {}) {
    return Stack(timeout).Around(std::ref(service), &clock).With(options);
  }
  // In learned limits of 20 ms, which a bucket's width can make a little longer.
  double Limit() const {
    return static_cast<double>(timeout.LimitAt(clock.Now()).count()) / (20e6 * (1 + 1.0 / 64));
  }

  FakeClock clock{TimePoint{1h}};
  Service service{clock};
  std::shared_ptr<LatencyQuantile> latencies;
  AdaptiveTimeout timeout;
};

// What Limit() is where it is `limits` but for a bucket's width.
auto About(double limits) { return test::Approx(limits).epsilon(1.0 / 32); }

TEST_CASE(
    "AdaptiveTimeout gives max until it has learned, then the quantile times the multiplier") {
  FakeClock clock;
  Service service(clock);
  const AdaptiveTimeout timeout({.quantile = 0.9, .min_samples = 100},
                                {.multiplier = 3, .min = 1ms, .max = 5s});
  const auto call = Stack(timeout).Around(std::ref(service), &clock);
  for (int i = 0; i < 100; ++i) {
    CHECK(timeout.LimitAt(clock.Now()) == 5s);
    service.latency = i < 10 ? 90ms : 10ms;
    CHECK(call().ok());
  }
  CHECK(timeout.LimitAt(clock.Now()) >= 30ms);
  CHECK(timeout.LimitAt(clock.Now()) < 31ms);
  service.latency = 80ms;
  CHECK(call().code() == absl::StatusCode::kDeadlineExceeded);
}

TEST_CASE("AdaptiveTimeout keeps within min and max") {
  CHECK(Scene({.min = 500ms}).timeout.LimitAt(TimePoint{1h}) == 500ms);
  CHECK(Scene({.max = 15ms}).timeout.LimitAt(TimePoint{1h}) == 15ms);
  CHECK(Scene({.multiplier = 1e300}).timeout.LimitAt(TimePoint{1h}) == 10s);
  CHECK(Scene({.multiplier = 1e300, .max = Duration::max()}).timeout.LimitAt(TimePoint{1h}) ==
        Duration::max());
}

TEST_CASE("AdaptiveTimeout forgets what is older than the window") {
  Scene scene;
  CHECK(scene.Limit() == About(1));
  scene.clock.Advance(31s);
  CHECK(scene.timeout.LimitAt(scene.clock.Now()) == 10s);
}

TEST_CASE("AdaptiveTimeout puts the deadline back, and a shorter one stands") {
  FakeClock clock;
  const AdaptiveTimeout timeout({}, {.max = 2s});
  std::vector<TimePoint> deadlines;
  const auto call =
      Stack(Timeout(10s), Retry({.max_attempts = 2, .backoff = Backoff::Constant(1s)}), timeout)
          .Around(
              [&](Call& c) {
                deadlines.push_back(c.deadline());
                clock.Advance(1500ms);
                return absl::UnavailableError("busy");
              },
              &clock);
  CHECK_FALSE(call().ok());
  CHECK(deadlines == std::vector{TimePoint{2s}, TimePoint{4500ms}});
  deadlines.clear();
  const TimePoint soon = clock.Now() + 100ms;
  (void)call.With({.deadline = soon});
  CHECK(deadlines == std::vector{soon});
}

TEST_CASE("AdaptiveTimeout recovers when the service becomes ten times slower") {
  Scene scene;
  scene.service.latency = 100ms;
  // 20, 40 and 80 ms are too short, 160 ms is not.
  for (int i = 0; i < 3; ++i) CHECK_FALSE(scene.Run().ok());
  CHECK(scene.Limit() == About(8));
  // The first success leaves it so: the quantile is still that of a thousand fast ones.
  CHECK(scene.Run().ok());
  CHECK(scene.Limit() == About(8));
  for (int i = 0; i < 1000; ++i) REQUIRE(scene.Run().ok());
  CHECK(scene.Limit() == About(10));
  CHECK(scene.service.timeouts == 3);
  // And back, as the slow ones leave the window.
  scene.service.latency = 10ms;
  for (int i = 0; i < 6000; ++i) REQUIRE(scene.Run().ok());
  CHECK(scene.Limit() == About(1));
}

// Taking the learned limit back with the first success that fits it would cut off the slow ones for
// ever.
TEST_CASE("AdaptiveTimeout recovers when only some answers become slower") {
  Scene scene;
  const int fast_of_ten = GENERATE(1, 5, 8);
  for (int i = 0; i < 1000; ++i) {
    scene.service.latency = i % 10 < fast_of_ten ? 10ms : 100ms;
    (void)scene.Run();
    REQUIRE(scene.Limit() < 20);
  }
  CHECK(scene.service.timeouts <= 4);
  CHECK(scene.Limit() == About(10));
}

TEST_CASE("AdaptiveTimeout stays short where some calls are lost") {
  Scene scene;
  const int one_in = GENERATE(7, 20);
  for (int i = 0; i < 1400; ++i) {
    scene.service.latency = i % one_in == 0 ? Duration::max() : 10ms;
    (void)scene.Run();
    REQUIRE(scene.Limit() < 2.1);
  }
  CHECK(scene.service.timeouts == 1400 / one_in);
  CHECK(scene.Limit() == About(1));
}

TEST_CASE("after an outage AdaptiveTimeout takes five successes for each attempt that was lost") {
  Scene scene;
  scene.service.latency = Duration::max();
  for (int i = 0; i < 5; ++i) CHECK_FALSE(scene.Run().ok());
  CHECK(scene.Limit() == About(32));
  scene.service.latency = 12ms;
  for (int i = 0; i < 25; ++i) {
    CHECK(scene.Limit() == About(32));
    CHECK(scene.Run().ok());
  }
  CHECK(scene.Limit() == About(1));
}

TEST_CASE("however long an outage lasts, the limit stays at max, and a hundred successes end it") {
  Scene scene({}, {.window = 2h});
  scene.service.latency = Duration::max();
  for (int i = 0; i < 200; ++i) {
    CHECK_FALSE(scene.Run().ok());
    REQUIRE(scene.timeout.LimitAt(scene.clock.Now()) <= 10s);
  }
  CHECK(scene.timeout.LimitAt(scene.clock.Now()) == 10s);
  scene.service.latency = 10ms;
  for (int i = 0; i < 99; ++i) CHECK(scene.Run().ok());
  CHECK(scene.timeout.LimitAt(scene.clock.Now()) == 10s);
  CHECK(scene.Run().ok());
  CHECK(scene.Limit() == About(1));
}

TEST_CASE("an attempt that began under a raised limit does not raise it again once it is over") {
  Scene scene;
  std::latch began(1);
  std::latch leave(1);
  scene.service.latency = 1s;
  CHECK_FALSE(scene.Run().ok());
  const auto call = Stack(scene.timeout)
                        .Around(
                            [&] {
                              began.count_down();
                              leave.wait();
                              return absl::DeadlineExceededError("no answer in time");
                            },
                            &scene.clock);
  std::jthread stuck([&call] { (void)call(); });
  began.wait();
  scene.service.latency = 10ms;
  for (int i = 0; i < 5; ++i) CHECK(scene.Run().ok());
  CHECK(scene.Limit() == About(1));
  leave.count_down();
  stuck.join();
  CHECK(scene.Limit() == About(1));
}

TEST_CASE(
    "attempts that run out of time before anything is learned don't keep what is learned waiting") {
  FakeClock clock;
  Service service(clock);
  const AdaptiveTimeout timeout({.min_samples = 20});
  const auto call = Stack(timeout).Around(std::ref(service), &clock);
  service.latency = Duration::max();
  for (int i = 0; i < 10; ++i) CHECK_FALSE(call().ok());
  service.latency = 10ms;
  for (int i = 0; i < 20; ++i) CHECK(call().ok());
  CHECK(timeout.LimitAt(clock.Now()) < 21ms);
}

TEST_CASE("a max of years is reached as well") {
  Scene scene({.max = Duration::max()}, {.window = Duration::max()});
  const auto lost =
      Stack(scene.timeout).Around([] { return absl::DeadlineExceededError(""); }, &scene.clock);
  for (int i = 0; i < 100; ++i) CHECK_FALSE(lost().ok());
  CHECK(scene.timeout.LimitAt(scene.clock.Now()) == Duration::max());
}

TEST_CASE("a hundred attempts that run out of time together raise the limit once") {
  Scene scene;
  constexpr int kCalls = 100;
  std::latch arrived(kCalls);
  std::latch leave(1);
  const auto call = Stack(scene.timeout)
                        .Around(
                            [&] {
                              arrived.count_down();
                              leave.wait();
                              return absl::DeadlineExceededError("no answer in time");
                            },
                            &scene.clock);
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kCalls; ++i) threads.emplace_back([&call] { (void)call(); });
    arrived.wait();
    scene.clock.Advance(21ms);
    leave.count_down();
  }
  CHECK(scene.Limit() == About(2));
}

TEST_CASE("a success that began before the limit was raised does not help to lower it") {
  Scene scene;
  std::latch began(1);
  std::latch leave(1);
  const auto call = Stack(scene.timeout)
                        .Around(
                            [&] {
                              began.count_down();
                              leave.wait();
                              return absl::OkStatus();
                            },
                            &scene.clock);
  std::jthread early([&call] { (void)call(); });
  began.wait();
  scene.service.answer = absl::DeadlineExceededError("at once");
  scene.service.latency = 1ms;
  CHECK_FALSE(scene.Run().ok());
  scene.service.answer = absl::OkStatus();
  for (int i = 0; i < 4; ++i) CHECK(scene.Run().ok());
  leave.count_down();
  early.join();  // by the clock, it took no longer than the learned limit
  CHECK(scene.Limit() == About(2));
  CHECK(scene.Run().ok());
  CHECK(scene.Limit() == About(1));
}

TEST_CASE("failures, refusals and cancelled calls teach AdaptiveTimeout nothing") {
  const auto latencies =
      std::make_shared<LatencyQuantile>(LatencyQuantile::Options{.min_samples = 1});
  const AdaptiveTimeout timeout(latencies);
  FakeClock clock;
  Service service(clock);
  const auto nothing_learned = [&] {
    return !latencies->ValueAt(clock.Now()) && timeout.LimitAt(clock.Now()) == 10s;
  };
  service.answer = absl::UnavailableError("busy");
  CHECK_FALSE(Stack(timeout).Around(std::ref(service), &clock)().ok());
  CHECK(nothing_learned());

  service.answer = absl::OkStatus();
  const auto empty = std::make_shared<TokenBucket>(
      TokenBucket::Options{.rate = 1e-6, .burst = 1, .clock = &clock});
  CHECK(empty->Allow());
  const auto refused = Stack(timeout, RateLimit(empty, {.max_wait = 0s}));
  CHECK_FALSE(refused.Around(std::ref(service), &clock)().ok());
  CHECK(nothing_learned());
  // Nor does a success that stands in for a refusal.
  const auto instead =
      Stack(timeout, Fallback([](const absl::Status&) { return absl::OkStatus(); }),
            RateLimit(empty, {.max_wait = 0s}));
  CHECK(instead.Around(std::ref(service), &clock)().ok());
  CHECK(nothing_learned());

  std::stop_source stop;
  const auto stopping = Stack(timeout, Retry({.backoff = Backoff::Constant(1s)}))
                            .Around(
                                [&] {
                                  stop.request_stop();
                                  return absl::UnavailableError("busy");
                                },
                                &clock);
  CHECK(stopping.With({.stop = stop.get_token()}).code() == absl::StatusCode::kCancelled);
  CHECK(nothing_learned());
}

TEST_CASE("what is not the limit's doing does not raise it") {
  Scene scene;
  // A failure in time.
  scene.service.answer = absl::UnavailableError("busy");
  (void)scene.Run();
  CHECK(scene.Limit() == About(1));
  // The caller's own deadline.
  scene.service.latency = 15ms;
  CHECK(scene.Run({.deadline = scene.clock.Now() + 5ms}).code() ==
        absl::StatusCode::kDeadlineExceeded);
  CHECK(scene.Limit() == About(1));
  // The caller's stop token, however late; a backend that says that it was cancelled.
  std::stop_source stop;
  const auto stopped = Stack(scene.timeout)
                           .Around(
                               [&] {
                                 stop.request_stop();
                                 scene.clock.Advance(1s);
                                 return absl::DeadlineExceededError("no answer in time");
                               },
                               &scene.clock);
  (void)stopped.With({.stop = stop.get_token()});
  CHECK(scene.Limit() == About(1));
  const auto cancelled = Stack(scene.timeout)
                             .Around(
                                 [&] {
                                   scene.clock.Advance(1s);
                                   return absl::CancelledError("shutting down");
                                 },
                                 &scene.clock);
  (void)cancelled();
  CHECK(scene.Limit() == About(1));
  // A refusal that comes late, or because the wait would end after the deadline.
  const TokenBucket::Options slow{.rate = 1, .burst = 1};
  const auto limited = Stack(scene.timeout, RateLimit(slow, {.max_wait = 1h}))
                           .Around(std::ref(scene.service), &scene.clock);
  (void)limited();
  CHECK(limited().code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(scene.Limit() == About(1));
}

TEST_CASE("what runs out of time raises the limit, whatever it says") {
  Scene scene;
  const auto run = [&scene](Duration takes, const std::function<absl::Status()>& end) {
    const auto call = Stack(scene.timeout)
                          .Around(
                              [&] {
                                scene.clock.Advance(takes);
                                return end();
                              },
                              &scene.clock);
    return call();
  };
  (void)run(21ms, [] { return absl::InternalError("read error"); });
  CHECK(scene.Limit() == About(2));
  // An executor that gives up a moment before.
  (void)run(39ms, [] { return absl::DeadlineExceededError("too little time left"); });
  CHECK(scene.Limit() == About(4));
  CHECK_THROWS_AS(run(82ms, []() -> absl::Status { throw std::runtime_error("timed out"); }),
                  std::runtime_error);
  CHECK(scene.Limit() == About(8));
  // But not what throws in time.
  CHECK_THROWS_AS(run(1ms, []() -> absl::Status { throw std::runtime_error("boom"); }),
                  std::runtime_error);
  CHECK(scene.Limit() == About(8));
  // A success that comes too late is one, and is learned from.
  CHECK(run(1s, [] { return absl::OkStatus(); }).ok());
  CHECK(scene.Limit() == About(8));
}

TEST_CASE("copies of an AdaptiveTimeout share what they learn") {
  Scene scene;
  const AdaptiveTimeout copy = scene.timeout;
  scene.service.latency = 1s;
  CHECK_FALSE(scene.Run().ok());
  CHECK(scene.Limit() == About(2));
  CHECK(copy.LimitAt(scene.clock.Now()) == scene.timeout.LimitAt(scene.clock.Now()));
}

TEST_CASE("AdaptiveTimeout refuses options that make no sense") {
  const LatencyQuantile::Options latencies;
  const auto refuses = [&](const AdaptiveTimeoutOptions& options) {
    CHECK_THROWS_WITH(AdaptiveTimeout(latencies, options),
                      std::string(Validate(options).message()));
  };
  refuses({.multiplier = 0.99});
  refuses({.multiplier = std::nan("")});
  refuses({.multiplier = std::numeric_limits<double>::infinity()});
  refuses({.min = 0s});
  refuses({.min = -1s});
  refuses({.min = 2s, .max = 1s});
  CHECK_NOTHROW(AdaptiveTimeout(latencies, {.multiplier = 1, .min = 1s, .max = 1s}));
  CHECK_THROWS_AS(AdaptiveTimeout({.quantile = 0}), std::invalid_argument);
  CHECK_THROWS_AS(AdaptiveTimeout(std::shared_ptr<LatencyQuantile>()), std::invalid_argument);
  CHECK_NOTHROW(AdaptiveTimeout({}));
}

TEST_CASE("AdaptiveTimeout serves many threads") {
  FakeClock clock;
  const AdaptiveTimeout timeout({.window = 20ms, .min_samples = 5}, {.min = 1us, .max = 50ms});
  std::atomic<int> wrong = 0;
  const auto call = Stack(timeout).Around(
      [&](int i, Call& c) -> absl::StatusOr<int> {
        const Duration limit = c.deadline() - c.now();
        if (limit < 1us || limit > 50ms) ++wrong;
        clock.Advance(i % 7 == 0 ? limit : Duration(10us));
        if (i % 7 == 0) return absl::DeadlineExceededError("no answer in time");
        return i;
      },
      &clock);
  test::InThreads(4, [&](int) {
    for (int i = 0; i < 3000; ++i) {
      const absl::StatusOr<int> result = call(i);
      if (result.ok() != (i % 7 != 0)) ++wrong;
    }
  });
  CHECK(wrong == 0);
}

}  // namespace
}  // namespace holdfast::adaptive_timeout_test
