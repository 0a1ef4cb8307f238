#include "holdfast/base/rejection.h"

#include <absl/status/statusor.h>

#include "test/support/catch.h"

namespace holdfast {
namespace {

TEST_CASE("a rejection says which policy refused, of what name, and why") {
  const absl::Status status = MakeRejection(
      absl::StatusCode::kUnavailable,
      {.kind = RejectionKind::kCircuitOpen, .policy = "CircuitBreak", .name = "orders\neu"},
      "open");
  CHECK(status.code() == absl::StatusCode::kUnavailable);
  CHECK(status.message() == "open");

  const absl::StatusOr<int> wrapped = status;
  const auto rejection = RejectionOf(wrapped.status());
  REQUIRE(rejection);
  CHECK(rejection->kind == RejectionKind::kCircuitOpen);
  CHECK(rejection->policy == "CircuitBreak");
  CHECK(rejection->name == "orders\neu");
}

TEST_CASE("a backend's own error, and success, are no rejections") {
  CHECK_FALSE(RejectionOf(absl::OkStatus()));
  CHECK_FALSE(RejectionOf(absl::UnavailableError("try later")));
  absl::Status strange = absl::UnavailableError("try later");
  strange.SetPayload("holdfast/rejection", absl::Cord("nonsense"));
  CHECK_FALSE(RejectionOf(strange));
  strange.SetPayload("holdfast/rejection", absl::Cord("unheard of\nA\nb"));
  CHECK_FALSE(RejectionOf(strange));
}

TEST_CASE("every kind of rejection survives the way through a status") {
  for (const RejectionKind kind :
       {RejectionKind::kRateLimited, RejectionKind::kBulkheadFull, RejectionKind::kCircuitOpen,
        RejectionKind::kTooManyProbes, RejectionKind::kThrottled, RejectionKind::kDeadline,
        RejectionKind::kCancelled, RejectionKind::kExceedsCapacity, RejectionKind::kOther}) {
    const auto rejection =
        RejectionOf(MakeRejection(absl::StatusCode::kAborted, {.kind = kind}, ""));
    REQUIRE(rejection);
    CHECK(rejection->kind == kind);
    CHECK_FALSE(ToString(kind).empty());
  }
}

}  // namespace
}  // namespace holdfast
