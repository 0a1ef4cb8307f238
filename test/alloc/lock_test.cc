// Where no lock is taken. It replaces pthread_mutex_lock, to count.
#include <absl/status/status.h>
#include <dlfcn.h>
#include <pthread.h>

#include <cstdint>
#include <memory>

#include "holdfast/holdfast.h"
#include "test/support/catch.h"

namespace {

thread_local std::int64_t locks = 0;  // that this thread has taken

}  // namespace

extern "C" int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
  using Lock = int (*)(pthread_mutex_t*);
  static const auto real = reinterpret_cast<Lock>(dlsym(RTLD_NEXT, "pthread_mutex_lock"));
  ++locks;
  return real(mutex);
}

namespace holdfast::lock_test {
namespace {

using namespace std::chrono_literals;
using Options = CircuitBreaker::Options;

constexpr TimePoint kNow{100s};

TEST_CASE("the counter of locks counts") {
  CircuitBreaker breaker({});
  const std::int64_t before = locks;
  (void)breaker.counts();
  CHECK(locks == before + 1);
}

TEST_CASE("a call that a closed breaker admits and that succeeds takes no lock") {
  const Options options =
      GENERATE(Options{}, Options{.interval = 1h}, Options{.interval = 1h, .bucket_period = 1s},
               Options{.last_calls = 100}, Options{.slow_call = 2s},
               Options{.rules = {SlowCallRate(1, 10)}, .slow_call = 2s});
  CircuitBreaker breaker(options);
  if (GENERATE(false, true)) {  // nor does it after an Update
    REQUIRE(breaker.Update({.interval = 1min}).ok());
    REQUIRE(breaker.Update(options).ok());
  }
  breaker.AdmitAt(kNow)->DoneAt(kNow, Outcome::kFailure);  // also in the middle of a run
  const std::int64_t before = locks;
  for (int i = 0; i < 1000; ++i) breaker.AdmitAt(kNow)->DoneAt(kNow, Outcome::kSuccess);
  CHECK(locks == before);
  CHECK(breaker.CountsAt(kNow).consecutive_successes == 1000);
}

TEST_CASE("a call that ends in the period after the one it began in takes a lock for the period") {
  CircuitBreaker breaker({.interval = 1h, .bucket_period = 1s});
  auto first = breaker.AdmitAt(kNow);
  auto second = breaker.AdmitAt(kNow);
  (void)breaker.StateAt(kNow + 1s);  // the next period begins
  const std::int64_t before = locks;
  first->DoneAt(kNow + 1s, Outcome::kSuccess);
  CHECK(locks == before);
  second->DoneAt(kNow + 2s, Outcome::kSuccess);
  CHECK(locks > before);
}

TEST_CASE("to find calls that hang it takes a lock once or twice in each slow_call") {
  CircuitBreaker breaker({.rules = {SlowCallRate(1, 10)}, .slow_call = 1s});
  const auto hung = breaker.AdmitAt(kNow);
  const std::int64_t before = locks;
  constexpr int kSeconds = 100;
  for (int i = 0; i < kSeconds * 1000; ++i) {
    auto ticket = breaker.AdmitAt(kNow + i * 1ms);
    ticket->DoneAt(kNow + i * 1ms + 700us, Outcome::kSuccess);
  }
  // A second one where rules were asked.
  CHECK(locks - before <= 4 * kSeconds);
  CHECK(breaker.CountsAt(kNow + kSeconds * 1s).hung == 1);
}

TEST_CASE("an open breaker refuses without a lock") {
  CircuitBreaker breaker({.ready_to_trip = [](const BreakerCounts&) { return true; }});
  breaker.AdmitAt(kNow)->DoneAt(kNow, Outcome::kFailure);
  const std::int64_t before = locks;
  for (int i = 0; i < 1000; ++i) CHECK_FALSE(breaker.AdmitAt(kNow).ok());
  CHECK(locks == before);
}

TEST_CASE("a throttler that refuses nothing counts a success without a lock") {
  AdaptiveThrottler throttler({.min_requests = 0});
  for (int i = 0; i < 2; ++i) throttler.AdmitAt(kNow)->DoneAt(kNow, Outcome::kSuccess);
  throttler.AdmitAt(kNow)->DoneAt(kNow, Outcome::kFailure);  // one in three is no trouble
  const std::int64_t before = locks;
  for (int i = 0; i < 1000; ++i) throttler.AdmitAt(kNow)->DoneAt(kNow, Outcome::kSuccess);
  CHECK(locks == before);
  CHECK(throttler.StatsAt(kNow).accepts == 1002);
}

TEST_CASE("a throttler refuses, and counts what is not accepted meanwhile, without a lock") {
  AdaptiveThrottler throttler({});
  for (int i = 0; i < 20; ++i) throttler.AdmitAt(kNow)->DoneAt(kNow, Outcome::kFailure);
  const std::int64_t before = locks;
  for (int i = 0; i < 1000; ++i) {
    if (auto ticket = throttler.AdmitAt(kNow); ticket.ok()) {
      ticket->DoneAt(kNow, Outcome::kFailure);
    }
  }
  CHECK(locks == before);
  CHECK(throttler.StatsAt(kNow).refused > 800);
}

TEST_CASE("a success through a stack with a throttle and a breaker takes no lock") {
  const auto call =
      Stack(Timeout(10s), Retry({.max_attempts = 4}), AdaptiveThrottle({}), CircuitBreak({}),
            RateLimit(TokenBucket::Options{.rate = 1e9, .burst = 1'000'000'000}))
          .Around([] { return absl::OkStatus(); });
  REQUIRE(call().ok());
  const std::int64_t before = locks;
  for (int i = 0; i < 100; ++i) REQUIRE(call().ok());
  CHECK(locks == before);
}

}  // namespace
}  // namespace holdfast::lock_test
