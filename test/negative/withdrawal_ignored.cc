// refused: ignoring return value of
#include "holdfast/retry/retry_budget.h"

#pragma GCC diagnostic error "-Wunused-result"

void Spend(holdfast::RetryBudget& budget) {
#ifdef WRONG_ORDER
  budget.TryWithdraw();
#else
  (void)budget.TryWithdraw();
#endif
}
