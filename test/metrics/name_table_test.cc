// The table of names in docs/metrics.md is what a registry tells, both ways.
#include "test/metrics/name_table.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <chrono>
#include <memory>
#include <utility>
#include <vector>

#include "holdfast/holdfast.h"
#include "holdfast/metrics/metrics.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/catch.h"

namespace holdfast::name_table_test {
namespace {

using namespace std::chrono_literals;
using testing::FakeClock;

// A service that is down, and a stack to which everything happens of which a stack tells.
class Scene {
 public:
  explicit Scene(Metrics& metrics) {
    REQUIRE(metrics.Add("main", main_).ok());
    REQUIRE(metrics.Add("cached", cached_).ok());
    REQUIRE(metrics.Add("kinds", kinds_).ok());
  }

  void Play() {
    const auto fails = [] { return absl::UnavailableError("down"); };
    main_.Around(fails, &clock_)().IgnoreError();
    main_.Around(fails, &clock_)().IgnoreError();
    kinds_.Around(fails, &clock_)().IgnoreError();
    // The breaker refuses by now.
    kinds_.Around(fails, &clock_).With({.key = "other"}).IgnoreError();
    latencies_->Record(1ms);
    cached_.Around([]() -> absl::StatusOr<int> { return 1; }, &clock_)().IgnoreError();
    LearnLatency();
  }

 private:
  void LearnLatency() {
    for (int i = 0; i < 200; ++i) {
      std::vector<AdaptiveLimiter::Ticket> tickets;
      for (auto ticket = limiter_->AdmitAt(clock_.Now()); ticket.ok();
           ticket = limiter_->AdmitAt(clock_.Now())) {
        tickets.push_back(*std::move(ticket));
      }
      clock_.Advance(10ms);
      for (auto& ticket : tickets) ticket.DoneAt(clock_.Now(), Outcome::kSuccess);
    }
  }

  FakeClock clock_;
  std::shared_ptr<AdaptiveLimiter> limiter_ =
      std::make_shared<AdaptiveLimiter>(AdaptiveLimiter::Options{.initial = 20});
  std::shared_ptr<LatencyQuantile> latencies_ =
      std::make_shared<LatencyQuantile>(LatencyQuantile::Options{.min_samples = 1});
  Stack<Fallback<absl::Status (*)(const absl::Status&)>, Retry<>, RateLimit<>, Timeout<>> main_{
      Fallback(+[](const absl::Status& why) { return why; }),
      Retry({.max_attempts = 2, .pause = std::make_shared<RetryPause>()}),
      RateLimit({.rate = 1, .burst = 1}, {.max_wait = 0s, .dry_run = true}),
      Timeout(std::make_shared<Settings<TimeoutOptions>>(TimeoutOptions{1s}))};
  std::shared_ptr<ResultCache<absl::StatusOr<int>>> cache_ =
      std::make_shared<ResultCache<absl::StatusOr<int>>>(
          ResultCache<absl::StatusOr<int>>::Options{.ttl = 1s});
  Stack<Cache<absl::StatusOr<int>>> cached_{Cache(cache_)};
  decltype(Stack(KeyedRateLimit(KeyedTokenBucket::Options{.limits = {.rate = 1}}),
                 KeyedCircuitBreak(KeyedCircuitBreaker::Options{}),
                 AdaptiveThrottle(AdaptiveThrottler::Options{}),
                 CircuitBreak(CircuitBreaker::Options{}), AdaptiveLimit(limiter_),
                 Bulkhead(Semaphore::Options{.limit = 1}), AdaptiveTimeout(latencies_),
                 Timeout(1s, std::shared_ptr<ThreadPool>()))) kinds_{
      KeyedRateLimit(KeyedTokenBucket::Options{.limits = {.rate = 1}}),
      KeyedCircuitBreak(KeyedCircuitBreaker::Options{}),
      AdaptiveThrottle(AdaptiveThrottler::Options{}),
      CircuitBreak(CircuitBreaker::Options{.rules = {ConsecutiveFailures(1)}}),
      AdaptiveLimit(limiter_),
      Bulkhead(Semaphore::Options{.limit = 1}),
      AdaptiveTimeout(latencies_),
      Timeout(1s, std::make_shared<ThreadPool>(ThreadPool::Options{}))};
};

TEST_CASE("the page names each metric with its type, unit and attributes, and no other") {
  Metrics metrics({.active_calls = true});
  Scene scene(metrics);
  scene.Play();
  const test::NameTable told = test::ToldBy(metrics);
  CHECK(told.size() > 50);
  test::CheckDocumented(told, test::DocumentedIn(HOLDFAST_METRICS_PAGE, [](const auto& section) {
                          return section != test::kHttpSection;
                        }));
}

}  // namespace
}  // namespace holdfast::name_table_test
