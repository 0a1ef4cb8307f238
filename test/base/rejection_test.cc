#include "holdfast/base/rejection.h"

#include <absl/status/statusor.h>
#include <absl/strings/cord.h>

#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "holdfast/base/internal/string_view.h"
#include "test/support/catch.h"

namespace holdfast::rejection_test {
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
}

constexpr char kPayload[] = "holdfast/rejection";

std::optional<Rejection> Read(std::string_view payload) {
  absl::Status status = absl::UnavailableError("no");
  status.SetPayload(kPayload, absl::Cord(internal::ToAbsl(payload)));
  return RejectionOf(status);
}

TEST_CASE("every kind of rejection survives the way through a status, by its permanent number") {
  const std::vector<std::pair<RejectionKind, std::string>> kinds = {
      {RejectionKind::kOther, "0"},          {RejectionKind::kRateLimited, "1"},
      {RejectionKind::kBulkheadFull, "2"},   {RejectionKind::kCircuitOpen, "3"},
      {RejectionKind::kTooManyProbes, "4"},  {RejectionKind::kThrottled, "5"},
      {RejectionKind::kDeadline, "6"},       {RejectionKind::kCancelled, "7"},
      {RejectionKind::kExceedsCapacity, "8"}};
  std::set<std::string_view> texts;
  for (const auto& [kind, number] : kinds) {
    CAPTURE(number);
    const absl::Status status = MakeRejection(absl::StatusCode::kAborted, {.kind = kind}, "");
    const std::string bytes = "1:" + number + ",0:,0:,";
    CHECK(status.GetPayload(kPayload) == absl::Cord(internal::ToAbsl(bytes)));
    const auto rejection = RejectionOf(status);
    REQUIRE(rejection);
    CHECK(rejection->kind == kind);
    texts.insert(ToString(kind));
  }
  CHECK(texts.size() == kinds.size());
}

TEST_CASE("the bytes of a rejection's payload are the same in every version") {
  const absl::Status status = MakeRejection(
      absl::StatusCode::kUnavailable,
      {.kind = RejectionKind::kCircuitOpen, .policy = "CircuitBreak", .name = "orders"}, "open");
  CHECK(status.GetPayload(kPayload) == absl::Cord("1:3,12:CircuitBreak,6:orders,"));
}

TEST_CASE("a policy and a name may contain any byte") {
  using std::string_literals::operator""s;
  for (const std::string& text :
       {"\n"s, "a\nb\n"s, "\0"s, ":,"s, "1:3,"s, "\xff\x80"s, std::string(1000, ',')}) {
    const auto rejection = RejectionOf(MakeRejection(
        absl::StatusCode::kAborted,
        {.kind = RejectionKind::kThrottled, .policy = text, .name = text + text}, ""));
    REQUIRE(rejection);
    CHECK(rejection->kind == RejectionKind::kThrottled);
    CHECK(rejection->policy == text);
    CHECK(rejection->name == text + text);
  }
}

TEST_CASE("a later version's rejection is read as far as this version knows it") {
  for (const char* const payload : {
           "1:9,1:A,1:b,",                                // a kind that this version does not know
           "4:1234,1:A,1:b,",                             // another
           "30:123456789012345678901234567890,1:A,1:b,",  // of more than 64 bits
           "1:0,1:A,1:b,3:new,",                          // a further field
       }) {
    CAPTURE(payload);
    const auto rejection = Read(payload);
    REQUIRE(rejection);
    CHECK(rejection->kind == RejectionKind::kOther);
    CHECK(rejection->policy == "A");
    CHECK(rejection->name == "b");
  }
  CHECK(ToString(static_cast<RejectionKind>(9)) == "other");
  CHECK(ToString(static_cast<RejectionKind>(-1)) == "other");
}

TEST_CASE("a malformed payload is no rejection") {
  const std::string whole = "1:3,1:A,2:bc,";
  REQUIRE(Read(whole));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    CHECK_FALSE(Read(whole.substr(0, size)));
  }
  for (const char* const payload : {
           "nonsense",
           "circuit open\nA\nb",
           "0:,1:A,1:b,",     // no number
           "1:x,1:A,1:b,",    // none either
           "2:3x,1:A,1:b,",   // more than a number
           "2:-3,1:A,1:b,",   // a sign
           "2: 3,1:A,1:b,",   // a space
           "1:3;1:A,1:b,",    // another separator
           "1:3,-1:A,1:b,",   // a negative length
           "1:3,2:A,1:b,",    // too long
           "1:3,1:AA,1:b,",   // too short
           "1:3,1:A,100:b,",  // past the end
           "1:3,1:A,18446744073709551615:b,",
           "1:3,1:A,99999999999999999999:b,",
       }) {
    CAPTURE(payload);
    CHECK_FALSE(Read(payload));
  }
}

}  // namespace
}  // namespace holdfast::rejection_test
