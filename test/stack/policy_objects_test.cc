// A Stack takes policy objects as they are, by PolicyOf.
#include <absl/status/status.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <tuple>
#include <type_traits>

#include "holdfast/holdfast.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/catch.h"

namespace holdfast {

// An object of a user's, which has a policy of the user's.
struct Door {
  bool open = true;
};

class DoorPolicy {
 public:
  static constexpr std::string_view kName = "Door";
  struct State {};

  explicit DoorPolicy(std::shared_ptr<Door> door) : door_(std::move(door)) {}

  Verdict Before(Call&, State&) {
    return door_->open ? Verdict::Proceed() : Verdict::Reject(absl::UnavailableError("closed"));
  }
  template <class R>
  Next After(Call&, State&, R&) {
    return Next::Done();
  }

 private:
  std::shared_ptr<Door> door_;
};

template <>
struct PolicyOf<Door> {
  using type = DoorPolicy;
};

namespace {

using namespace std::chrono_literals;

template <class S>
using PoliciesOf = typename S::Policies;

TEST_CASE("a stack takes the object of each policy as it is") {
  const auto breaker = std::make_shared<CircuitBreaker>(CircuitBreaker::Options{});
  const auto bucket = std::make_shared<TokenBucket>(TokenBucket::Options{.rate = 1, .burst = 1});
  const auto semaphore = std::make_shared<Semaphore>(Semaphore::Options{.limit = 2});
  const auto stack = Stack(Timeout(10s), Retry({}), breaker, bucket, semaphore);
  using Taken = PoliciesOf<std::remove_const_t<decltype(stack)>>;
  static_assert(std::is_same_v<std::tuple_element_t<2, Taken>, CircuitBreak<>>);
  static_assert(std::is_same_v<std::tuple_element_t<3, Taken>, RateLimit<>>);
  static_assert(std::is_same_v<std::tuple_element_t<4, Taken>, Bulkhead>);
  CHECK(stack.Describe() == Stack(Timeout(10s), Retry({}), CircuitBreak(breaker), RateLimit(bucket),
                                  Bulkhead(semaphore))
                                .Describe());

  testing::FakeClock clock;
  const auto call = stack.Around([] { return absl::OkStatus(); }, &clock);
  CHECK(call().ok());
  CHECK(bucket->TokensAt(clock.Now()) == 0.0);
  CHECK(breaker->CountsAt(clock.Now()).successes == 1);
}

TEST_CASE("the other objects have policies, too") {
  using Results = ResultCache<absl::Status>;
  const auto results = std::make_shared<Results>(Results::Options{.ttl = 1s});
  const auto stack = Stack(results, std::make_shared<Pacer>(Pacer::Options{.rate = 10}),
                           std::make_shared<KeyedTokenBucket>(
                               KeyedTokenBucket::Options{.limits = {.rate = 1, .burst = 1}}),
                           std::make_shared<KeyedCircuitBreaker>(KeyedCircuitBreaker::Options{}),
                           std::make_shared<AdaptiveThrottler>(AdaptiveThrottler::Options{}),
                           std::make_shared<AdaptiveLimiter>(AdaptiveLimiter::Options{}));
  static_assert(
      std::is_same_v<PoliciesOf<std::remove_const_t<decltype(stack)>>,
                     std::tuple<Cache<absl::Status>, Pace, KeyedRateLimit<>, KeyedCircuitBreak<>,
                                AdaptiveThrottle<>, AdaptiveLimit<>>>);

  // Keyed ones go by CallOptions::key.
  testing::FakeClock clock;
  int runs = 0;
  const auto call = stack.Around(
      [&] {
        ++runs;
        return absl::OkStatus();
      },
      &clock);
  CHECK(call.With({.key = "a"}).ok());
  CHECK(call.With({.key = "a"}).ok());
  CHECK(runs == 1);
}

TEST_CASE("stacks in stacks and lvalues are mixed with objects") {
  const auto breaker = std::make_shared<CircuitBreaker>(CircuitBreaker::Options{});
  const auto door = std::make_shared<Door>();
  const Stack inner(breaker, Timeout(1s));
  const Stack outer(Timeout(10s), inner, door);
  static_assert(std::is_same_v<PoliciesOf<std::remove_const_t<decltype(outer)>>,
                               std::tuple<Timeout<>, CircuitBreak<>, Timeout<>, DoorPolicy>>);
  const Stack copy(outer);
  static_assert(std::is_same_v<decltype(copy), decltype(outer)>);

  const auto call = copy.Around([] { return absl::OkStatus(); });
  CHECK(call().ok());
  door->open = false;
  CHECK(absl::IsUnavailable(call()));
}

TEST_CASE("a null object is refused as its policy refuses it") {
  const std::shared_ptr<CircuitBreaker> none;
  CHECK_THROWS_AS(Stack(Timeout(1s), none), std::invalid_argument);
  CHECK_THROWS_WITH(Stack(std::shared_ptr<TokenBucket>()), "RateLimit: the TokenBucket is null");
  CHECK_THROWS_WITH(Stack(Retry({}), std::shared_ptr<Semaphore>()),
                    "Bulkhead: the Semaphore is null");
}

}  // namespace
}  // namespace holdfast
