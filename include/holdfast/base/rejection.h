// A rejection is an absl::Status that says that a policy refused the call, not the backend.
//
//   if (auto rejection = holdfast::RejectionOf(result.status())) {
//     log("refused by ", rejection->policy, " ", rejection->name);   // the backend saw nothing
//   }
#ifndef HOLDFAST_BASE_REJECTION_H_
#define HOLDFAST_BASE_REJECTION_H_

#include <absl/status/status.h>

#include <optional>
#include <string>
#include <string_view>

namespace holdfast {

enum class RejectionKind {
  kRateLimited,      // no token in time
  kBulkheadFull,     // no permit in time
  kCircuitOpen,      // the breaker is open
  kTooManyProbes,    // the breaker is half-open and all its probes are in use
  kThrottled,        // the backend rejects so many calls that some are rejected locally
  kDeadline,         // the wait or the call would end after the deadline
  kCancelled,        // the caller requested a stop
  kExceedsCapacity,  // the call asks for more than the burst or the limit
  kOther,            // a user's own policy
};

std::string_view ToString(RejectionKind kind);

struct Rejection {
  RejectionKind kind = RejectionKind::kOther;
  std::string policy = {};  // the type of policy: "RateLimit", "CircuitBreak", ...
  std::string name = {};    // the name of its policy object; may be empty
};

// Returns the rejection that `status` carries; nullopt for OK and for an error of the backend. A
// status carries it as a payload, which copies and absl::StatusOr keep.
std::optional<Rejection> RejectionOf(const absl::Status& status);

// Returns a status that RejectionOf recognizes. A policy makes it once and returns a copy for each
// refusal; a copy shares the text and does not allocate.
absl::Status MakeRejection(absl::StatusCode code, const Rejection& rejection,
                           std::string_view message);

}  // namespace holdfast

#endif  // HOLDFAST_BASE_REJECTION_H_
