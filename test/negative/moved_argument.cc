// refused: every attempt needs the arguments, so they are never moved from: take one that can't be
// copied by const reference, or in a std::shared_ptr
#include <memory>

#include "holdfast/retry/retry.h"
#include "holdfast/stack/stack.h"

#ifdef WRONG_ORDER
inline absl::Status Send(std::unique_ptr<int>) { return {}; }
#else
inline absl::Status Send(const std::unique_ptr<int>&) { return {}; }
#endif

auto Call() { return holdfast::Stack(holdfast::Retry({})).Around(Send)(std::make_unique<int>(1)); }
