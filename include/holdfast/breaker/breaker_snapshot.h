// A BreakerSnapshot carries the state of a CircuitBreaker into the next process.
//
//   const std::string text = ToString(breaker->Snapshot());   // save it to a file, for example
//
//   auto snapshot = holdfast::ParseBreakerSnapshot(text);        // in the next process
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

// The state of a breaker without its counts. Times are relative, because the monotonic clock of one
// process means nothing to another.
struct BreakerSnapshot {
  static constexpr std::int64_t kVersion = 1;
  static constexpr std::uint64_t kMaxOpenings = 1'000'000'000;

  std::int64_t version = kVersion;
  BreakerState state = BreakerState::kClosed;
  BreakerMode mode = BreakerMode::kAutomatic;
  // How often the breaker has opened since it last closed: 0 to kMaxOpenings, 0 if it is closed.
  std::uint64_t openings = 0;
  // How much longer the breaker stays open: >= 0, and 0 unless it is open.
  TimeSpan open_for{0};

  friend bool operator==(const BreakerSnapshot&, const BreakerSnapshot&) = default;
};

// A line of ASCII text, and back. ParseBreakerSnapshot returns kInvalidArgument for a text that is
// not a snapshot, has another version, or that Validate refuses.
std::string ToString(const BreakerSnapshot& snapshot);
absl::StatusOr<BreakerSnapshot> ParseBreakerSnapshot(std::string_view text);

// OK if a breaker can be in that state, else kInvalidArgument with the reason.
absl::Status Validate(const BreakerSnapshot& snapshot);

}  // namespace holdfast

#endif  // HOLDFAST_BREAKER_BREAKER_SNAPSHOT_H_
