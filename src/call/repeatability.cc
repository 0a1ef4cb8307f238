#include "holdfast/call/repeatability.h"

#include <optional>

#include "holdfast/call/call.h"

namespace holdfast {

Rerun MayRunAgain(const Call& call, Effect before, bool idempotent) {
  std::optional<Repeatability> request = call.repeatability();
  if (!request) return Rerun::kMay;
  request->idempotent |= idempotent;
  return MayRunAgain(*request, before);
}

bool MayRunAtOnce(const Call& call, bool idempotent) {
  Repeatability request = call.repeatability().value_or(Repeatability{});
  request.idempotent |= idempotent;
  return MayRunAtOnce(request);
}

bool MayLeave(const Call& call) {
  const std::optional<Repeatability> request = call.repeatability();
  return !request || request->reuse == Reuse::kAtOnce;
}

}  // namespace holdfast
