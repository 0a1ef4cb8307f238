// refused: Fallback: the function must take a const absl::Status& and return a result of the type
// that the call returns
#include "holdfast/fallback/fallback.h"
#include "holdfast/stack/stack.h"

absl::Status Call() {
#ifdef WRONG_ORDER
  const auto answer = [](const absl::Status&) { return 1; };
#else
  const auto answer = [](const absl::Status&) { return absl::OkStatus(); };
#endif
  return holdfast::Stack(holdfast::Fallback(answer)).Around([] { return absl::OkStatus(); })();
}
