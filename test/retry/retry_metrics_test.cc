// What the objects of Retry tell a registry of metrics.
#include <absl/status/status.h>

#include <atomic>
#include <barrier>
#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "holdfast/retry/nested_retry.h"
#include "holdfast/retry/retry.h"
#include "holdfast/retry/retry_budget.h"
#include "holdfast/retry/retry_pause.h"
#include "holdfast/stack/stack.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/catch.h"
#include "test/support/collected.h"
#include "test/support/collected_objects.h"
#include "test/support/threads.h"

namespace holdfast::retry_metrics_test {
namespace {

using namespace std::chrono_literals;
using test::Collected;
using test::CollectedOf;
using test::ObjectsOf;
using test::TitlesOf;
using testing::FakeClock;

constexpr auto kWithdrawals = "holdfast.retry_budget.withdrawals";
constexpr auto kExhausted = "holdfast.retry_budget.exhausted";
constexpr auto kBalance = "holdfast.retry_budget.balance";
constexpr auto kCapacity = "holdfast.retry_budget.capacity";
constexpr auto kRemaining = "holdfast.retry_pause.remaining";
constexpr auto kExtensions = "holdfast.retry_pause.extensions";

TEST_CASE("a budget counts what it allowed and what it did not, and tells what is left") {
  FakeClock clock;
  RetryBudget budget({.capacity = 4, .throttled = 0, .clock = &clock});
  Collected told = CollectedOf(budget);
  CHECK(told.at(kBalance) == 4);
  CHECK(told.at(kCapacity) == 4);
  CHECK(told.at(kWithdrawals) == 0);
  CHECK(told.at(kExhausted) == 0);

  CHECK(budget.TryWithdraw(RetryCause::kTimedOut));
  CHECK(budget.TryWithdraw());
  CHECK_FALSE(budget.TryWithdraw(RetryCause::kTimedOut));
  CHECK(budget.TryWithdraw(RetryCause::kThrottled));  // free, and a retry as well
  told = CollectedOf(budget);
  CHECK(told.at(kBalance) == 1);
  CHECK(told.at(kWithdrawals) == 3);
  CHECK(told.at(kExhausted) == 1);

  budget.Refund();
  CHECK(CollectedOf(budget).at(kBalance) == 2);
  CHECK(CollectedOf(budget).at(kWithdrawals) == 3);

  REQUIRE(budget.Update({.capacity = 1}).ok());
  CHECK(CollectedOf(budget).at(kCapacity) == 1);
  CHECK(CollectedOf(budget).at(kBalance) == 1);
}

TEST_CASE("an unlimited budget tells nothing") {
  const auto budget = RetryBudget::Unlimited();
  CHECK(budget->TryWithdraw());
  CHECK(CollectedOf(*budget).all().empty());
}

// What a budget answers, and has, while time passes.
std::vector<double> TraceOfBudget(int looks) {
  FakeClock clock;
  RetryBudget budget(
      {.capacity = 5, .per_success = 0.25, .min_retries_per_second = 0.3, .clock = &clock});
  std::vector<double> trace;
  for (int i = 0; i < 100; ++i) {
    for (int look = 0; look < looks; ++look) {
      if (CollectedOf(budget).at(kBalance) != budget.balance()) trace.push_back(-1);
    }
    trace.push_back(budget.TryWithdraw(static_cast<RetryCause>(i % 3)) ? 1 : 0);
    if (i % 4 == 0) budget.Deposit();
    if (i % 10 == 9) budget.Refund();
    if (i == 50) CHECK(budget.Update({.capacity = 3, .min_retries_per_second = 0.7}).ok());
    trace.push_back(budget.balance());
    clock.Advance(i * 37ms);
  }
  return trace;
}

TEST_CASE("a look at a budget settles nothing") {
  const std::vector<double> trace = TraceOfBudget(0);
  CHECK(TraceOfBudget(10) == trace);
}

TEST_CASE("a Retry tells the budget that it made, and its pause") {
  FakeClock clock;
  int hooks = 0;
  RetryOptions options{.max_attempts = 3, .pause = std::make_shared<RetryPause>("orders")};
  options.on_retry = [&](const Call&, const RetryEvent&) { ++hooks; };
  const Retry retry(options);
  CHECK(TitlesOf(ObjectsOf(retry)) == std::vector<std::string>{"Retry orders", "Retry "});

  int looks = 0;
  const auto call = Stack(retry).Around(
      [&] {
        for (int i = 0; i < 100; ++i) looks += CollectedOf(ObjectsOf(retry)).has(kBalance);
        return absl::UnavailableError("down");
      },
      &clock);
  for (int i = 0; i < 10; ++i) CHECK(absl::IsUnavailable(call()));
  CHECK(looks == 3'000);
  CHECK(hooks == 20);
  const Collected told = CollectedOf(ObjectsOf(retry));
  CHECK(told.at(kWithdrawals) == 20);
  CHECK(told.at(kExhausted) == 0);
  CHECK(told.at(kCapacity) == 100);
  CHECK(told.at(kRemaining) == 0);
  CHECK(told.at(kExtensions) == 0);
}

TEST_CASE("retries that the budget has nothing for are counted") {
  FakeClock clock;
  const auto budget = std::make_shared<RetryBudget>(
      RetryBudget::Options{.capacity = 5, .min_retries_per_second = 0, .name = "orders"});
  const Retry retry({.max_attempts = 2, .budget = budget});
  const auto call = Stack(retry).Around([] { return absl::UnavailableError("down"); }, &clock);
  for (int i = 0; i < 8; ++i) CHECK(absl::IsUnavailable(call()));
  CHECK(TitlesOf(ObjectsOf(retry)) == std::vector<std::string>{"Retry orders"});
  CHECK(CollectedOf(ObjectsOf(retry)).at(kWithdrawals) == 5);
  CHECK(CollectedOf(ObjectsOf(retry)).at(kExhausted) == 3);
}

TEST_CASE("a NestedRetry tells its objects as well") {
  const auto budget = std::make_shared<RetryBudget>(RetryBudget::Options{.name = "orders"});
  CHECK(TitlesOf(ObjectsOf(NestedRetry({.budget = budget}))) ==
        std::vector<std::string>{"Retry orders"});
}

TEST_CASE("objects that have gone are not looked at") {
  const CollectedObjects objects = ObjectsOf(Retry({}));
  CHECK(objects.all().size() == 1);
  CHECK(CollectedOf(objects).all().empty());
}

TEST_CASE("a pause tells how long it lasts, and how often it was extended") {
  FakeClock clock(TimePoint(1h));
  RetryPause pause("orders", &clock);
  CHECK(CollectedOf(pause).at(kRemaining) == 0);
  pause.Extend(clock.Now() + 30s);
  pause.Extend(clock.Now() + 20s);  // it lasts longer already
  pause.Extend(clock.Now() + 45s);
  CHECK(CollectedOf(pause).at(kExtensions) == 2);
  CHECK(CollectedOf(pause).at(kRemaining) == 45);
  clock.Advance(44s + 500ms);
  CHECK(CollectedOf(pause).at(kRemaining) == 0.5);
  CHECK(pause.until() == TimePoint(1h + 45s));
  clock.Advance(1h);
  CHECK(CollectedOf(pause).at(kRemaining) == 0);
  CHECK(CollectedOf(pause).at(kExtensions) == 2);
}

TEST_CASE("a pause has the clock of its stack, and refuses that of another") {
  FakeClock clock(TimePoint(1h));
  const auto pause = std::make_shared<RetryPause>("orders");
  const auto call = Stack(Retry({.pause = pause})).Around([] { return absl::OkStatus(); }, &clock);
  pause->Extend(clock.Now() + 10s);
  CHECK(CollectedOf(*pause).at(kRemaining) == 10);
  FakeClock other;
  CHECK_THROWS_AS(Stack(Retry({.pause = pause})).Around([] { return absl::OkStatus(); }, &other),
                  std::invalid_argument);
}

TEST_CASE("totals of a budget that threads use never shrink, and add up to what they asked") {
  constexpr int kThreads = 4;
  constexpr int kAsked = 20'000;
  RetryBudget budget({.capacity = 1000, .per_success = 0.25, .min_retries_per_second = 0});
  std::atomic<std::int64_t> allowed{0};
  std::atomic<int> at_work{kThreads};
  bool shrank = false;
  test::InThreads(kThreads + 1, [&](int thread) {
    if (thread == kThreads) {
      double withdrawals = 0;
      double exhausted = 0;
      while (at_work.load(std::memory_order_acquire) > 0) {
        const Collected told = CollectedOf(budget);
        shrank |= told.at(kWithdrawals) < withdrawals || told.at(kExhausted) < exhausted;
        withdrawals = told.at(kWithdrawals);
        exhausted = told.at(kExhausted);
      }
      return;
    }
    std::int64_t mine = 0;
    for (int i = 0; i < kAsked; ++i) {
      mine += budget.TryWithdraw() ? 1 : 0;
      if (i % 3 == 0) budget.Deposit();
    }
    allowed.fetch_add(mine, std::memory_order_relaxed);
    at_work.fetch_sub(1, std::memory_order_release);
  });
  CHECK_FALSE(shrank);
  const Collected told = CollectedOf(budget);
  CHECK(told.at(kWithdrawals) == static_cast<double>(allowed));
  CHECK(told.at(kWithdrawals) + told.at(kExhausted) == kThreads * kAsked);
}

TEST_CASE("of threads that extend a pause to the same time, one extends it") {
  constexpr int kThreads = 4;
  constexpr int kRounds = 300;
  FakeClock clock;
  RetryPause pause("", &clock);
  std::barrier<> round(kThreads);
  test::InThreads(kThreads, [&](int) {
    for (int i = 1; i <= kRounds; ++i) {
      round.arrive_and_wait();
      pause.Extend(clock.Now() + i * 1s);
      (void)CollectedOf(pause);
    }
  });
  CHECK(CollectedOf(pause).at(kRemaining) == kRounds);
  CHECK(CollectedOf(pause).at(kExtensions) == kRounds);
}

}  // namespace
}  // namespace holdfast::retry_metrics_test
