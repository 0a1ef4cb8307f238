#include "holdfast/driver/machine.h"

namespace holdfast::internal {

const absl::Status& DeadlinePassedRejection() {
  static const absl::Status status = MakeRejection(
      absl::StatusCode::kDeadlineExceeded, {.kind = RejectionKind::kDeadline, .policy = "Stack"},
      "the call's deadline has passed");
  return status;
}

const absl::Status& CancelledRejection() {
  static const absl::Status status = MakeRejection(
      absl::StatusCode::kCancelled, {.kind = RejectionKind::kCancelled, .policy = "Stack"},
      "the caller stopped the call");
  return status;
}

const absl::Status& NoResult() {
  static const absl::Status status =
      absl::InternalError("a policy's verdict is ShortCircuit, and it has no member Result");
  return status;
}

const absl::Status& AttemptTooLate() {
  static const absl::Status status =
      absl::DeadlineExceededError("the attempt did not end by its deadline");
  return status;
}

}  // namespace holdfast::internal
