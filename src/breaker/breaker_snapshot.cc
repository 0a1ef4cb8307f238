#include "holdfast/breaker/breaker_snapshot.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include <optional>
#include <vector>

#include "holdfast/base/internal/string_view.h"

namespace holdfast {
namespace {

using internal::ToAbsl;

constexpr absl::string_view kKind = "holdfast-breaker";

std::string WhatIsWrong(const BreakerSnapshot& snapshot) {
  if (snapshot.version != BreakerSnapshot::kVersion) {
    return absl::StrCat("version must be ", BreakerSnapshot::kVersion, ", not ", snapshot.version);
  }
  if (ToString(snapshot.state).empty() || ToString(snapshot.mode).empty())
    return "unknown state or mode";
  const bool open = snapshot.state == BreakerState::kOpen;
  const bool closed = snapshot.state == BreakerState::kClosed;
  if (snapshot.mode == BreakerMode::kForcedOpen && !open)
    return "in mode forced-open, state must be open";
  if (snapshot.mode == BreakerMode::kForcedClosed && !closed)
    return "in mode forced-closed, state must be closed";
  if (snapshot.open_for < Duration::zero()) return "open_for must be >= 0";
  if (snapshot.open_for > Duration::zero() && !open)
    return "open_for must be 0 unless state is open";
  if (snapshot.openings > 0 && closed) return "openings must be 0 if state is closed";
  if (snapshot.openings > BreakerSnapshot::kMaxOpenings)
    return absl::StrCat("openings must be at most ", BreakerSnapshot::kMaxOpenings);
  return "";
}

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
  const std::string wrong = WhatIsWrong(snapshot);
  if (wrong.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("BreakerSnapshot: ", wrong));
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
