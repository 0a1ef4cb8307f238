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

// The numbers are permanent: a status's payload carries them to processes that may run another
// version. A new kind gets the next number, and the number of a removed kind is not used again.
enum class RejectionKind {
  kOther = 0,            // a user's own policy, or a kind that this version does not know
  kRateLimited = 1,      // no token in time
  kBulkheadFull = 2,     // no permit in time
  kCircuitOpen = 3,      // the breaker is open
  kTooManyProbes = 4,    // the breaker is half-open and all its probes are in use
  kThrottled = 5,        // the backend rejects so many calls that some are rejected locally
  kDeadline = 6,         // the wait or the call would end after the deadline
  kCancelled = 7,        // the caller requested a stop
  kExceedsCapacity = 8,  // the call asks for more than the burst or the limit
};

std::string_view ToString(RejectionKind kind);

struct Rejection {
  RejectionKind kind = RejectionKind::kOther;
  std::string policy = {};  // the type of policy: "RateLimit", "CircuitBreak", ...
  std::string name = {};    // the name of its policy object; may be empty
};

// Returns the rejection that `status` carries; nullopt for OK, for an error of the backend, and for
// a malformed payload. A status carries it as a payload, which copies and absl::StatusOr keep;
// docs/compatibility.md has its format.
std::optional<Rejection> RejectionOf(const absl::Status& status);

// Returns a status that RejectionOf recognizes. A policy makes it once and returns a copy for each
// refusal; a copy shares the text and does not allocate.
absl::Status MakeRejection(absl::StatusCode code, const Rejection& rejection,
                           std::string_view message);

}  // namespace holdfast

#endif  // HOLDFAST_BASE_REJECTION_H_
