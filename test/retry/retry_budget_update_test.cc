// New options of a RetryBudget while retries spend it.
#include <absl/status/status.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <string>
#include <thread>

#include "holdfast/retry/retry_budget.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/catch.h"
#include "test/support/rapidcheck.h"
#include "test/support/threads.h"

namespace holdfast::retry_budget_update_test {
namespace {

using namespace std::chrono_literals;
using testing::FakeClock;
using Options = RetryBudget::Options;

TEST_CASE("a smaller capacity holds at once, and a larger one grants nothing") {
  FakeClock clock;
  RetryBudget budget({.capacity = 100, .min_retries_per_second = 0, .clock = &clock});
  CHECK(budget.Update({.capacity = 3, .min_retries_per_second = 0}).ok());
  CHECK(budget.balance() == 3);
  CHECK(budget.Update({.capacity = 50, .min_retries_per_second = 0}).ok());
  CHECK(budget.balance() == 3);
  for (int i = 0; i < 3; ++i) CHECK(budget.TryWithdraw());
  CHECK_FALSE(budget.TryWithdraw());
  for (int i = 0; i < 1000; ++i) budget.Deposit();
  CHECK(budget.balance() == 50);
  CHECK(budget.Update({.capacity = 2, .min_retries_per_second = 0}).ok());
  CHECK(budget.TryWithdraw());
  CHECK(budget.balance() == 1);
  CHECK(budget.options().capacity == 2);
}

TEST_CASE("the next success, and the next retry, go by the new options") {
  RetryBudget budget({.capacity = 10, .per_success = 0.5, .min_retries_per_second = 0});
  CHECK(budget
            .Update({.capacity = 10,
                     .per_success = 0.25,
                     .min_retries_per_second = 0,
                     .throttled = 3,
                     .timed_out = 4})
            .ok());
  CHECK(budget.TryWithdraw(RetryCause::kThrottled));
  CHECK(budget.balance() == 7);
  CHECK(budget.TryWithdraw(RetryCause::kTimedOut));
  CHECK(budget.balance() == 3);
  budget.Deposit();
  CHECK(budget.balance() == 3.25);
  // What is given back is what such a retry costs by now.
  CHECK(budget.Update({.capacity = 10, .min_retries_per_second = 0, .timed_out = 1}).ok());
  budget.Refund(RetryCause::kTimedOut);
  CHECK(budget.balance() == 4.25);
  CHECK(budget.options().timed_out == 1);
}

TEST_CASE("time has earned at the old rate until it is changed") {
  FakeClock clock;
  RetryBudget budget({.capacity = 100, .min_retries_per_second = 1, .clock = &clock});
  for (int i = 0; i < 100; ++i) CHECK(budget.TryWithdraw());
  clock.Advance(5s);
  CHECK(budget.Update({.capacity = 100, .min_retries_per_second = 10}).ok());
  CHECK(budget.balance() == 5);
  clock.Advance(1s);
  CHECK(budget.balance() == 15);
  CHECK(budget.Update({.capacity = 100, .min_retries_per_second = 0}).ok());
  CHECK(budget.balance() == 15);
  clock.Advance(1h);
  CHECK(budget.balance() == 15);
  CHECK(budget.Update({.capacity = 100, .min_retries_per_second = 2}).ok());
  CHECK(budget.balance() == 15);
  clock.Advance(1s);
  CHECK(budget.balance() == 17);
}

TEST_CASE("time that a full budget had no room for fills no larger one") {
  FakeClock clock;
  RetryBudget budget({.capacity = 0, .min_retries_per_second = 1, .clock = &clock});
  CHECK_FALSE(budget.TryWithdraw());
  clock.Advance(1h);
  CHECK(budget.Update({.capacity = 1, .min_retries_per_second = 1}).ok());
  CHECK(budget.balance() == 0);
  clock.Advance(1h);
  CHECK(budget.balance() == 1);
  CHECK(budget.Update({.capacity = 1000, .min_retries_per_second = 1}).ok());
  CHECK(budget.balance() == 1);
  clock.Advance(10s);
  CHECK(budget.balance() == 11);
}

TEST_CASE("a budget that nothing was withdrawn from fills a larger capacity with time") {
  FakeClock clock;
  RetryBudget budget({.capacity = 1, .min_retries_per_second = 1, .clock = &clock});
  clock.Advance(1h);
  CHECK(budget.Update({.capacity = 10, .min_retries_per_second = 1}).ok());
  CHECK(budget.balance() == 1);
  clock.Advance(3s);
  CHECK(budget.balance() == 4);
}

TEST_CASE("a slow rate's rest is nothing at a fast one") {
  FakeClock clock;
  RetryBudget budget({.capacity = 1000, .min_retries_per_second = 1e-6, .clock = &clock});
  for (int i = 0; i < 1000; ++i) CHECK(budget.TryWithdraw());
  clock.Advance(999ms);
  CHECK(budget.Update({.capacity = 1000, .min_retries_per_second = 1e6}).ok());
  CHECK(budget.balance() == 0);
}

TEST_CASE("the same options change nothing of a budget") {
  FakeClock clock;
  const Options options = {.capacity = 10,
                           .per_success = 1.0 / 3,
                           .min_retries_per_second = 0.7,
                           .name = "reads",
                           .clock = &clock};
  RetryBudget budget(options);
  RetryBudget untouched(options);
  for (int i = 0; i < 1000; ++i) {
    CHECK(budget.Update(budget.options()).ok());
    CHECK(budget.TryWithdraw() == untouched.TryWithdraw());
    if (i % 5 == 0) budget.Deposit();
    if (i % 5 == 0) untouched.Deposit();
    CHECK(budget.balance() == untouched.balance());
    clock.Advance(333'333ns);
  }
  CHECK(budget.options().per_success == 1.0 / 3);
  CHECK(budget.options().name == "reads");
  CHECK(budget.options().clock == &clock);
}

TEST_CASE("what a budget refuses changes nothing of it") {
  FakeClock clock;
  FakeClock other;
  RetryBudget budget({.capacity = 10, .name = "reads", .clock = &clock});
  for (const Options& wrong :
       {Options{.capacity = -1}, Options{.per_success = 2}, Options{.min_retries_per_second = -1},
        Options{.throttled = 101}, Options{.timed_out = -1}, Options{.name = "writes"},
        Options{.clock = &other}}) {
    const absl::Status status = budget.Update(wrong);
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    CHECK_THAT(std::string(status.message()), test::StartsWith("RetryBudget reads: "));
  }
  CHECK(budget.balance() == 10);
  const auto unlimited = RetryBudget::Unlimited();
  CHECK(unlimited->Update({}).code() == absl::StatusCode::kInvalidArgument);
  CHECK(unlimited->unlimited());
  CHECK(unlimited->TryWithdraw());
}

// In exact numbers, for rates of which a second brings a whole number of millionths.
TEST_CASE("whatever is withdrawn, repaid and changed, the balance is the model's") {
  test::Property([] {
    FakeClock clock;
    Options options = {.capacity = 5, .per_success = 0.25, .min_retries_per_second = 1};
    options.clock = &clock;
    RetryBudget budget(options);
    double balance = 5;
    const auto at_most = [&](double b) {
      return std::min(b, static_cast<double>(options.capacity));
    };
    const int steps = *rc::gen::inRange(1, 100);
    for (int step = 0; step < steps; ++step) {
      const auto seconds = *rc::gen::inRange(0, 3);
      clock.Advance(seconds * 1s);
      balance = at_most(balance + seconds * options.min_retries_per_second);
      switch (*rc::gen::inRange(0, 4)) {
        case 0: {
          const double cost = *rc::gen::element(1.0, options.throttled, options.timed_out);
          const RetryCause why = cost == 1.0                 ? RetryCause::kTransient
                                 : cost == options.throttled ? RetryCause::kThrottled
                                                             : RetryCause::kTimedOut;
          const bool there = balance >= cost;
          RC_ASSERT(budget.TryWithdraw(why) == there);
          if (there) balance -= cost;
          break;
        }
        case 1:
          budget.Deposit();
          balance = at_most(balance + options.per_success);
          break;
        default:
          options.capacity = *rc::gen::inRange(0, 8);
          options.per_success = *rc::gen::inRange(0, 5) / 4.0;
          options.min_retries_per_second = *rc::gen::inRange(0, 8) / 4.0;
          options.throttled = *rc::gen::inRange(0, 8) / 4.0;
          options.timed_out = *rc::gen::inRange(0, 16) / 4.0;
          RC_ASSERT(budget.Update(options).ok());
          balance = at_most(balance);
      }
      RC_ASSERT(budget.balance() == balance);
    }
  });
}

// There is always room, and no time passes: so nothing is lost, and the sums come out.
TEST_CASE("threads that spend and repay while the options change lose nothing and mint nothing") {
  FakeClock clock;
  constexpr std::int64_t kMost = 1'000'000;
  RetryBudget budget({.capacity = kMost, .per_success = 1, .clock = &clock});
  std::atomic<std::int64_t> balance = kMost;
  while (balance > kMost - 300'000 && budget.TryWithdraw()) --balance;
  std::atomic<int> wrong = 0;
  test::InThreads(4, [&](int thread) {
    for (int i = 0; i < 20'000; ++i) {
      if (thread < 2) {
        balance -= budget.TryWithdraw() ? 1 : 0;
      } else if (thread == 2) {
        budget.Deposit();
        ++balance;
      } else {
        const auto capacity = kMost - std::int64_t{100'000} * (i % 3);
        const double rate = i % 5;
        wrong +=
            budget.Update({.capacity = capacity, .per_success = 1, .min_retries_per_second = rate})
                    .ok()
                ? 0
                : 1;
        wrong += budget.options().capacity == capacity ? 0 : 1;
      }
    }
  });
  CHECK(wrong == 0);
  CHECK(budget.balance() == static_cast<double>(balance));
}

TEST_CASE("beside threads that repay, no more than the smallest capacity is ever withdrawn") {
  FakeClock clock;
  RetryBudget budget(
      {.capacity = 1000, .per_success = 1, .min_retries_per_second = 0, .clock = &clock});
  std::atomic<bool> lowered = false;
  std::atomic<int> deposited = 0;
  std::atomic<int> withdrawn = 0;
  test::InThreads(3, [&](int thread) {
    if (thread == 0) {
      (void)budget.Update({.capacity = 10, .per_success = 1, .min_retries_per_second = 0});
      lowered = true;
    }
    for (int i = 0; i < 2'000; ++i) {
      if (thread == 2) {
        ++deposited;
        budget.Deposit();
      } else if (lowered) {
        withdrawn += budget.TryWithdraw() ? 1 : 0;
      }
    }
  });
  CHECK(withdrawn <= 10 + deposited);
  CHECK(budget.balance() <= 10);
}

}  // namespace
}  // namespace holdfast::retry_budget_update_test
