// refused: Fallback inside of Hedge: its answer to one attempt that failed would win over the
// others; put Fallback outside of Hedge
#include "holdfast/fallback.h"
#include "holdfast/hedge.h"
#include "holdfast/stack.h"

auto Make() {
  const holdfast::Fallback fallback([](const absl::Status&) { return absl::OkStatus(); });
#ifdef WRONG_ORDER
  return holdfast::Stack(holdfast::Hedge({}), fallback);
#else
  return holdfast::Stack(fallback, holdfast::Hedge({}));
#endif
}
