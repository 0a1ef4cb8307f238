#include "holdfast/retry/retry_budget.h"

#include <absl/status/status.h>

#include <atomic>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <stdexcept>

#include "holdfast/call/report.h"
#include "holdfast/hedge/hedge.h"
#include "holdfast/retry/retry.h"
#include "holdfast/stack/stack.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/catch.h"
#include "test/support/threads.h"

namespace holdfast::retry_budget_test {
namespace {

using namespace std::chrono_literals;
using testing::FakeClock;

constexpr TimePoint kStart{1h};

// How many retries it lets through at `now`.
int Drain(RetryBudget& budget, TimePoint now) {
  int withdrawn = 0;
  while (budget.TryWithdrawAt(now)) ++withdrawn;
  return withdrawn;
}

TEST_CASE("a budget starts full, is spent by retries and repaid by successes") {
  RetryBudget budget({.capacity = 2, .per_success = 0.5, .min_retries_per_second = 0});
  CHECK(budget.TryWithdraw());
  CHECK(budget.TryWithdraw());
  CHECK_FALSE(budget.TryWithdraw());
  budget.Deposit();
  CHECK(budget.balance() == 0.5);
  CHECK_FALSE(budget.TryWithdraw());
  budget.Deposit();
  CHECK(budget.TryWithdraw());
  for (int i = 0; i < 100; ++i) budget.Deposit();
  CHECK(budget.balance() == 2);
}

TEST_CASE("a budget is repaid by time, up to its capacity") {
  RetryBudget budget({.capacity = 100, .min_retries_per_second = 0.1});
  CHECK(Drain(budget, kStart) == 100);
  CHECK_FALSE(budget.TryWithdrawAt(kStart + 10s - 1ns));
  CHECK(budget.TryWithdrawAt(kStart + 10s));
  CHECK_FALSE(budget.TryWithdrawAt(kStart + 10s));
  CHECK(budget.BalanceAt(kStart + 15s) == 0.5);
  CHECK(budget.BalanceAt(kStart + 12h) == 100);
  CHECK(Drain(budget, kStart + 12h) == 100);
  // What it had been too full for is gone.
  CHECK(Drain(budget, kStart + 12h + 10s) == 1);
}

TEST_CASE("the time before a budget is first used earns nothing more") {
  RetryBudget budget({.capacity = 3, .min_retries_per_second = 1});
  CHECK(budget.BalanceAt(TimePoint::max()) == 3);
  CHECK(Drain(budget, TimePoint{}) == 3);
  CHECK(Drain(budget, TimePoint{1s}) == 1);
}

TEST_CASE("a time that goes back earns nothing, and loses nothing") {
  RetryBudget budget({.capacity = 10, .min_retries_per_second = 1});
  CHECK(Drain(budget, kStart) == 10);
  CHECK_FALSE(budget.TryWithdrawAt(kStart - 1h));
  CHECK_FALSE(budget.TryWithdrawAt(TimePoint::min()));
  CHECK_FALSE(budget.TryWithdrawAt(kStart));
  CHECK(budget.BalanceAt(kStart - 1h) == 0);
  CHECK(Drain(budget, kStart + 2s) == 2);
  CHECK(Drain(budget, TimePoint::max()) == 10);
  CHECK(Drain(budget, TimePoint::max()) == 0);
}

TEST_CASE("however often a budget is asked, time repays all of what it owes and no more") {
  for (const double rate : {0.1, 3.0, 1e3, 123'456.789}) {
    for (const Duration step : {Duration(1), Duration(1037), Duration(999'983)}) {
      CAPTURE(rate, step.count());
      RetryBudget budget(
          {.capacity = 1000, .per_success = 0, .min_retries_per_second = rate, .throttled = 0});
      Drain(budget, kStart);
      constexpr int kSteps = 100'000;
      std::int64_t withdrawn = 0;
      for (int i = 1; i <= kSteps; ++i) withdrawn += budget.TryWithdrawAt(kStart + i * step);
      const TimePoint end = kStart + kSteps * step;
      const double owed = rate * std::chrono::duration<double>(end - kStart).count();
      const double given = static_cast<double>(withdrawn) + budget.BalanceAt(end);
      CHECK(given <= owed * (1 + 1e-9) + 1e-5);
      // More than the capacity is lost where it comes faster than it is asked for.
      if (owed < 1000) CHECK(given >= owed * (1 - 1e-2) - 1e-5);
    }
  }
}

TEST_CASE("a budget reads its own clock where it is not told the time") {
  FakeClock clock;
  RetryBudget budget({.capacity = 1, .min_retries_per_second = 1, .clock = &clock});
  CHECK(budget.TryWithdraw());
  CHECK_FALSE(budget.TryWithdraw());
  clock.Advance(1s);
  CHECK(budget.balance() == 1);
  CHECK(budget.TryWithdraw());
}

TEST_CASE("a budget of nothing allows nothing") {
  RetryBudget budget({.capacity = 0});
  budget.Deposit();
  CHECK_FALSE(budget.TryWithdraw());
  CHECK_FALSE(budget.TryWithdrawAt(TimePoint::max()));
}

TEST_CASE("an unlimited budget refuses nothing and keeps no account") {
  const auto budget = RetryBudget::Unlimited();
  CHECK(budget->unlimited());
  for (int i = 0; i < 1'000; ++i) {
    CHECK(budget->TryWithdraw());
    CHECK(budget->TryWithdrawAt(kStart, RetryCause::kTimedOut));
  }
  budget->Refund();
  budget->Deposit();
  CHECK(budget->balance() == std::numeric_limits<double>::infinity());
  CHECK_FALSE(RetryBudget({}).unlimited());
}

TEST_CASE("each call of Default makes a budget of its own") {
  CHECK(RetryBudget::MakeDefault() != RetryBudget::MakeDefault());
}

TEST_CASE("a budget refuses options that make no sense") {
  CHECK_THROWS_AS(RetryBudget({.capacity = -1}), std::invalid_argument);
  CHECK_THROWS_AS(RetryBudget({.capacity = RetryBudget::kMaxCapacity + 1}), std::invalid_argument);
  CHECK_THROWS_AS(RetryBudget({.per_success = 1.1}), std::invalid_argument);
  CHECK_THROWS_AS(RetryBudget({.per_success = -0.1}), std::invalid_argument);
  CHECK_THROWS_AS(RetryBudget({.per_success = std::nan("")}), std::invalid_argument);
  CHECK_THROWS_AS(RetryBudget({.min_retries_per_second = -0.1}), std::invalid_argument);
  CHECK_THROWS_AS(RetryBudget({.min_retries_per_second = 1.1e6}), std::invalid_argument);
  CHECK_THROWS_AS(RetryBudget({.min_retries_per_second = std::nan("")}), std::invalid_argument);
}

TEST_CASE("threads never withdraw more than there is") {
  RetryBudget budget({.capacity = 1000, .per_success = 0.25, .min_retries_per_second = 0});
  std::atomic<int> withdrawn = 0;
  test::InThreads(4, [&](int) {
    for (int i = 0; i < 1000; ++i) {
      if (budget.TryWithdraw()) ++withdrawn;
    }
  });
  CHECK(withdrawn == 1000);
  CHECK(budget.balance() == 0);
}

TEST_CASE("threads that move the time on are repaid once for it") {
  RetryBudget budget({.capacity = 1000, .min_retries_per_second = 1});
  std::atomic<int> withdrawn = 0;
  test::InThreads(4, [&](int) {
    for (int i = 0; i < 2000; ++i) {
      if (budget.TryWithdrawAt(kStart + i * 100ms)) ++withdrawn;
    }
  });
  withdrawn += Drain(budget, kStart + 200s);
  CHECK(withdrawn == 1000 + 200);
}

TEST_CASE("a client of few calls retries a blip again some time after a long outage") {
  // The defect: what an hour of one call a minute had spent came back with successes only.
  FakeClock clock;
  bool down = true;
  const auto call = Stack(Retry({})).Around(
      [&](Call& attempt) {
        return down || attempt.attempt() == 1 ? absl::DeadlineExceededError("") : absl::OkStatus();
      },
      &clock);
  Report report;
  for (int minute = 0; minute < 60; ++minute) {
    (void)call.With({.report = &report});
    clock.Advance(1min);
  }
  CHECK(report.attempts >= 2);  // the floor: six retries a minute, three after time-outs
  down = false;
  clock.Advance(12h);
  for (int blip = 0; blip < 40; ++blip) CHECK(call().ok());
}

TEST_CASE("options that are copied do not share a budget with each other") {
  // The defect: it was made with the options, and a dead origin emptied another's.
  const RetryOptions options = {.max_attempts = 4};
  FakeClock clock;
  const auto dead =
      Stack(Retry(options)).Around([] { return absl::UnavailableError("dead"); }, &clock);
  for (int i = 0; i < 60; ++i) (void)dead();
  const auto fine =
      Stack(Retry(options))
          .Around(
              [](Call& attempt) {
                return attempt.attempt() == 1 ? absl::UnavailableError("a blip") : absl::OkStatus();
              },
              &clock);
  CHECK(fine().ok());
  const HedgeOptions hedging;
  CHECK(Hedge(hedging, HedgeAll()).budget() != Hedge(hedging, HedgeAll()).budget());
}

TEST_CASE("copies of a Retry and of a Hedge share its budget, and others may be given it") {
  const Retry retry({});
  const Retry copy = retry;  // NOLINT(performance-unnecessary-copy-initialization)
  REQUIRE(retry.budget() != nullptr);
  CHECK(copy.budget() == retry.budget());
  const Hedge hedge({.budget = retry.budget()});
  const Hedge same = hedge;  // NOLINT(performance-unnecessary-copy-initialization)
  CHECK(same.budget() == retry.budget());
  CHECK(RetryOptions::Retryablehttp().budget->unlimited());
}

}  // namespace
}  // namespace holdfast::retry_budget_test
