#include "holdfast/breaker/breaker_snapshot.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include <optional>
#include <vector>

#include "holdfast/base/internal/options_checker.h"
#include "holdfast/base/internal/string_view.h"

namespace holdfast {
namespace {

using internal::ToAbsl;

constexpr absl::string_view kKind = "holdfast-breaker";

// The enumerator from 0 to `last` that has this name.
template <class E>
std::optional<E> Named(absl::string_view name, E last) {
  for (int i = 0; i <= static_cast<int>(last); ++i) {
    if (ToAbsl(ToString(static_cast<E>(i))) == name) return static_cast<E>(i);
  }
  return std::nullopt;
}

}  // namespace

absl::Status Validate(const BreakerSnapshot& snapshot) {
  const bool open = snapshot.state == BreakerState::kOpen;
  const bool closed = snapshot.state == BreakerState::kClosed;
  internal::OptionsChecker check("BreakerSnapshot");
  check(snapshot.version == BreakerSnapshot::kVersion, "version must be ",
        BreakerSnapshot::kVersion, ", not ", snapshot.version);
  check(!ToString(snapshot.state).empty() && !ToString(snapshot.mode).empty(),
        "unknown state or mode");
  check(snapshot.mode != BreakerMode::kForcedOpen || open,
        "in mode forced-open, state must be open");
  check(snapshot.mode != BreakerMode::kForcedClosed || closed,
        "in mode forced-closed, state must be closed");
  check(snapshot.open_for >= Duration::zero(), "open_for must be >= 0");
  check(snapshot.open_for == Duration::zero() || open, "open_for must be 0 unless state is open");
  check(snapshot.openings == 0 || !closed, "openings must be 0 if state is closed");
  check(snapshot.openings <= BreakerSnapshot::kMaxOpenings, "openings must be at most ",
        BreakerSnapshot::kMaxOpenings);
  return check.status();
}

std::string ToString(const BreakerSnapshot& snapshot) {
  return absl::StrCat(kKind, " ", snapshot.version, " ", ToAbsl(ToString(snapshot.state)), " ",
                      ToAbsl(ToString(snapshot.mode)), " ", snapshot.openings, " ",
                      snapshot.open_for.count());
}

absl::StatusOr<BreakerSnapshot> ParseBreakerSnapshot(std::string_view text) {
  const std::vector<absl::string_view> parts = absl::StrSplit(ToAbsl(text), ' ');
  BreakerSnapshot snapshot;
  if (parts.size() < 2 || parts[0] != kKind || !absl::SimpleAtoi(parts[1], &snapshot.version)) {
    return absl::InvalidArgumentError("BreakerSnapshot: not a breaker snapshot");
  }
  if (snapshot.version == BreakerSnapshot::kVersion) {
    auto malformed = absl::InvalidArgumentError(
        "BreakerSnapshot: malformed; a snapshot is \"holdfast-breaker 1 <state> <mode> <openings> "
        "<open_for in ns>\"");
    if (parts.size() != 6) return malformed;
    const auto state = Named(parts[2], BreakerState::kOpen);
    const auto mode = Named(parts[3], BreakerMode::kForcedClosed);
    std::int64_t open_for = 0;
    if (!state || !mode || !absl::SimpleAtoi(parts[4], &snapshot.openings) ||
        !absl::SimpleAtoi(parts[5], &open_for)) {
      return malformed;
    }
    snapshot.state = *state;
    snapshot.mode = *mode;
    snapshot.open_for = Duration(open_for);
  }
  if (absl::Status status = Validate(snapshot); !status.ok()) return status;
  return snapshot;
}

}  // namespace holdfast
