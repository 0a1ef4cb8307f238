#include "holdfast/retry_budget.h"

#include <atomic>
#include <cmath>
#include <stdexcept>

#include "test/support/catch.h"
#include "test/support/threads.h"

namespace holdfast {
namespace {

TEST_CASE("a budget starts full, is spent by retries and repaid by successes") {
  RetryBudget budget({.capacity = 2, .per_success = 0.5});
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

TEST_CASE("a budget of nothing allows nothing") {
  RetryBudget budget({.capacity = 0});
  budget.Deposit();
  CHECK_FALSE(budget.TryWithdraw());
}

TEST_CASE("each call of Default makes a budget of its own") {
  CHECK(RetryBudget::Default() != RetryBudget::Default());
}

TEST_CASE("a budget refuses options that make no sense") {
  CHECK_THROWS_AS(RetryBudget({.capacity = -1}), std::invalid_argument);
  CHECK_THROWS_AS(RetryBudget({.capacity = RetryBudget::kMaxCapacity + 1}), std::invalid_argument);
  CHECK_THROWS_AS(RetryBudget({.per_success = 1.1}), std::invalid_argument);
  CHECK_THROWS_AS(RetryBudget({.per_success = -0.1}), std::invalid_argument);
  CHECK_THROWS_AS(RetryBudget({.per_success = std::nan("")}), std::invalid_argument);
}

TEST_CASE("threads never withdraw more than there is") {
  RetryBudget budget({.capacity = 1000, .per_success = 0.25});
  std::atomic<int> withdrawn = 0;
  test::InThreads(4, [&](int) {
    for (int i = 0; i < 1000; ++i) {
      if (budget.TryWithdraw()) ++withdrawn;
    }
  });
  CHECK(withdrawn == 1000);
  CHECK(budget.balance() == 0);
}

}  // namespace
}  // namespace holdfast
