// A BreakerSnapshot carries what a CircuitBreaker has learnt into the next process.
//
//   const std::string text = ToString(breaker->Snapshot());   // to be kept somewhere
//
//   auto snapshot = holdfast::ParseBreakerSnapshot(text);        // at the next start
//   if (snapshot.ok()) breaker->Restore(*snapshot, 3s).IgnoreError();
#ifndef HOLDFAST_BREAKER_BREAKER_SNAPSHOT_H_
#define HOLDFAST_BREAKER_BREAKER_SNAPSHOT_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "holdfast/base/time.h"
#include "holdfast/breaker/breaker_state.h"

namespace holdfast {

// Of a breaker's state, without what it has counted. Times are relative: a process's monotonic
// clock means nothing to the next one.
struct BreakerSnapshot {
  static constexpr std::int64_t kVersion = 1;
  static constexpr std::uint64_t kMaxOpenings = 1'000'000'000;

  std::int64_t version = kVersion;
  BreakerState state = BreakerState::kClosed;
  BreakerMode mode = BreakerMode::kAutomatic;
  std::uint64_t openings = 0;  // since it was last closed
  TimeSpan open_for{0};        // how much longer it stays open; 0 unless it is

  friend bool operator==(const BreakerSnapshot&, const BreakerSnapshot&) = default;
};

// A line of text, and back: kInvalidArgument for what is no snapshot, or one of another version.
std::string ToString(const BreakerSnapshot& snapshot);
absl::StatusOr<BreakerSnapshot> ParseBreakerSnapshot(std::string_view text);

// Whether a breaker can be in that state.
absl::Status Validate(const BreakerSnapshot& snapshot);

}  // namespace holdfast

#endif  // HOLDFAST_BREAKER_BREAKER_SNAPSHOT_H_
