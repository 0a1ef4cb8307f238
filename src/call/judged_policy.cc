#include "holdfast/call/internal/judged_policy.h"

namespace holdfast::internal {

bool CutOffEarly(Call& call, const SuccessTimes& recent) {
  if (call.deadline() == TimePoint::max() || call.now() < call.deadline()) return false;
  const Duration had = SaturatingSub(call.deadline(), call.attempt_began());
  const Duration limit = call.time_below().attempt;
  if (limit != Duration::max()) return had < limit;
  const Duration slow = recent.SlowTenth();
  return slow != Duration::max() && had < slow;
}

void TimeSuccess(Call& call, SuccessTimes& recent) {
  if (call.time_below().attempt != Duration::max()) return;
  recent.Record(SaturatingSub(call.now(), call.attempt_began()));
}

}  // namespace holdfast::internal
