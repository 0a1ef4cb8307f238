// What a call costs that every policy lets through: no allocation, and one look at the clock.
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <new>
#include <vector>

#include "holdfast/holdfast.h"
#include "test/support/allocations.h"
#include "test/support/catch.h"

namespace holdfast::alloc_test {
namespace {

using namespace std::chrono_literals;
using testing::allocations;

class CountingClock final : public Clock {
 public:
  TimePoint Now() const override {
    ++reads;
    return TimePoint{1s};
  }
  void WaitUntil(TimePoint, Parker&) override {}

  mutable int reads = 0;
};

auto SixPolicies(CircuitBreaker::Options breaker = {}) {
  return Stack(Timeout(10s), Retry({.max_attempts = 4}), CircuitBreak(std::move(breaker)),
               RateLimit(TokenBucket::Options{.rate = 1e9, .burst = 1'000'000'000}),
               Bulkhead(Semaphore::Options{.limit = 100}), Timeout(2s));
}

TEST_CASE("the counter counts") {
  const std::int64_t before = allocations;
  ::operator delete(::operator new(1));  // a new expression might be left out
  const std::int64_t after = allocations;
  CHECK(after == before + 1);
}

TEST_CASE("a success through six policies allocates nothing") {
  const auto call = SixPolicies().Around([](int i) -> absl::StatusOr<int> { return i + 1; });
  CHECK(call(0).value() == 1);
  const std::int64_t before = allocations;
  int sum = 0;
  for (int i = 0; i < 1000; ++i) sum += *call(i);
  CHECK(allocations == before);
  CHECK(sum == 500'500);
}

TEST_CASE("a success allocates nothing while an observer waits for what goes wrong") {
  struct Quiet final : Observer {
    void OnEvent(const Event&) override {}
  };
  const auto call = SixPolicies()
                        .Observed("quiet", std::make_shared<Quiet>())
                        .Around([](int i) -> absl::StatusOr<int> { return i; });
  CHECK(call(0).ok());
  const std::int64_t before = allocations;
  for (int i = 0; i < 1000; ++i) (void)call(i);
  CHECK(allocations == before);
}

TEST_CASE("a success allocates nothing while active calls are counted") {
  const auto stack = SixPolicies();
  const CollectedObjects objects = stack.Objects();
  objects.all().front().count_active(objects.all().front().object.lock().get());
  CountingClock clock;
  const auto call = stack.Around([](int i) -> absl::StatusOr<int> { return i; }, &clock);
  CHECK(call(0).ok());
  const int reads = clock.reads;
  const std::int64_t before = allocations;
  for (int i = 0; i < 1000; ++i) (void)call(i);
  CHECK(allocations == before);
  CHECK(clock.reads == reads + 1000);
}

TEST_CASE("a context that a call came with is handed on without an allocation") {
  const auto parent =
      TraceContext::Parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "foo=1");
  const TraceContext* seen = nullptr;
  const auto call = SixPolicies().Around([&](Call& c) {
    seen = c.attempt_trace();
    return absl::OkStatus();
  });
  CHECK(call().ok());
  CHECK(seen == nullptr);
  const CallOptions options = {.trace = &*parent};
  CHECK(call.With(options).ok());
  CHECK(seen == &*parent);
  const std::int64_t before = allocations;
  for (int i = 0; i < 1000; ++i) (void)call.With(options);
  CHECK(allocations == before);
}

TEST_CASE("without memory for its spans a call goes on") {
  const auto call = SixPolicies().Traced("orders", std::make_shared<RecentCalls>()).Around([] {
    return absl::OkStatus();
  });
  CHECK(call().ok());
  testing::out_of_memory = true;
  const absl::Status status = call();
  testing::out_of_memory = false;
  CHECK(status.ok());
  CHECK(call().ok());
}

TEST_CASE("without memory for its counters a stack refuses as ever") {
  auto bucket = std::make_shared<TokenBucket>(TokenBucket::Options{.rate = 0.001, .burst = 1});
  REQUIRE(bucket->Allow());
  const auto call =
      Stack(RateLimit(bucket, {.max_wait = 0s})).Around([] { return absl::OkStatus(); });
  testing::out_of_memory = true;
  const absl::Status status = call();
  testing::out_of_memory = false;
  CHECK(absl::IsResourceExhausted(status));
}

TEST_CASE("a refusal allocates nothing") {
  const auto refused = GENERATE(0, 1, 2, 3);
  auto breaker = std::make_shared<CircuitBreaker>(
      CircuitBreaker::Options{.ready_to_trip = [](const BreakerCounts&) { return true; }});
  auto semaphore = std::make_shared<Semaphore>(Semaphore::Options{.limit = 1});
  auto bucket = std::make_shared<TokenBucket>(TokenBucket::Options{.rate = 0.001, .burst = 1});
  const auto permit = semaphore->TryAcquire();
  REQUIRE(bucket->Allow());
  breaker->Admit()->Done(Outcome::kFailure);

  auto throttler = std::make_shared<AdaptiveThrottler>(
      AdaptiveThrottler::Options{.max_rejection = 1, .seed = 1});
  for (int i = 0; i < 20; ++i) throttler->Admit()->Done(Outcome::kFailure);

  const auto count = [](const auto& stack) {
    const auto call = stack.Around([] { return absl::OkStatus(); });
    CHECK_FALSE(call().ok());
    const std::int64_t before = allocations;
    for (int i = 0; i < 100; ++i) (void)call();
    return allocations - before;
  };
  if (refused == 0) CHECK(count(Stack(CircuitBreak(breaker))) == 0);
  if (refused == 1) CHECK(count(Stack(Bulkhead(semaphore, {.max_wait = 0s}))) == 0);
  if (refused == 2) CHECK(count(Stack(RateLimit(bucket, {.max_wait = 0s}))) == 0);
  if (refused == 3) CHECK(count(Stack(AdaptiveThrottle(throttler))) == 0);
}

TEST_CASE("a success through six policies reads the clock once") {
  CountingClock clock;
  const auto call = SixPolicies().Around([] { return absl::OkStatus(); }, &clock);
  CHECK(call().ok());
  CHECK(clock.reads == 1);
}

TEST_CASE("it reads the clock twice where a policy needs to know when it ended") {
  CountingClock clock;
  const bool slow_calls = GENERATE(true, false);
  const auto call = SixPolicies(slow_calls ? CircuitBreaker::Options{.slow_call = 1s}
                                           : CircuitBreaker::Options{.interval = 1s})
                        .Around([] { return absl::OkStatus(); }, &clock);
  CHECK(call().ok());
  clock.reads = 0;
  CHECK(call().ok());
  CHECK(clock.reads == 2);
}

TEST_CASE("a failure, which the breaker dates, reads the clock twice") {
  CountingClock clock;
  const auto call = SixPolicies().Around([] { return absl::NotFoundError("no"); }, &clock);
  CHECK(call().code() == absl::StatusCode::kNotFound);
  CHECK(clock.reads == 2);
}

TEST_CASE("a reservation that there is no memory for takes no tokens") {
  const std::int64_t burst = GENERATE(1000, 1);  // ready at once, and later
  TokenBucket bucket({.rate = 1, .burst = burst});
  CHECK(bucket.AllowAt(TimePoint{1s}, 1));
  std::vector<Reservation> reservations;
  reservations.reserve(100);
  bool refused = false;
  testing::out_of_memory = true;
  try {
    while (reservations.size() < 100) reservations.push_back(bucket.ReserveAt(TimePoint{1s}));
  } catch (const std::bad_alloc&) {
    refused = true;
  }
  testing::out_of_memory = false;
  CHECK(refused);
  const auto taken = static_cast<std::int64_t>(reservations.size()) + 1;
  CHECK(bucket.TokensAt(TimePoint{1s}) == static_cast<double>(burst - taken));
  for (Reservation& reservation : reservations) reservation.CancelAt(TimePoint{1s});
  CHECK(bucket.TokensAt(TimePoint{1s}) == static_cast<double>(burst - 1));
}

}  // namespace
}  // namespace holdfast::alloc_test
