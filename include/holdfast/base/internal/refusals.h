// What policies and policy objects say when they refuse: made once, copied at each refusal.
#ifndef HOLDFAST_BASE_INTERNAL_REFUSALS_H_
#define HOLDFAST_BASE_INTERNAL_REFUSALS_H_

#include <absl/status/status.h>

#include <string_view>

#include "holdfast/base/rejection.h"

namespace holdfast::internal {

// A rejection whose message is "<policy> <name>: <text>", without the name if that is empty.
absl::Status Refusal(absl::StatusCode code, RejectionKind kind, std::string_view policy,
                     std::string_view name, std::string_view text);

// The kind of a rejection, as RejectionOf has it; kOther for any other status.
RejectionKind KindOf(const absl::Status& status);

// Those of a policy object that can be waited for.
struct Refusals {
  // `policy` and `name` for RejectionOf; `what` is the thing that there is not enough of.
  Refusals(RejectionKind exhausted_kind, std::string_view policy, std::string_view name,
           std::string_view what);

  absl::Status exhausted;   // kResourceExhausted: none in time
  absl::Status deadline;    // kDeadlineExceeded: none before the deadline
  absl::Status cancelled;   // kCancelled: the caller stopped waiting
  absl::Status impossible;  // kInvalidArgument: more than there can ever be
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_BASE_INTERNAL_REFUSALS_H_
