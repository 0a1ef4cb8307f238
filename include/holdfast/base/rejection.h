// A rejection is a refusal by a policy, never by the backend: an absl::Status that says so.
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
  kTooManyProbes,    // the breaker is half-open and its probes are out
  kThrottled,        // the backend accepts too few of the calls for all to be sent
  kDeadline,         // the wait, or the call, would pass the deadline
  kCancelled,        // the caller's stop token
  kExceedsCapacity,  // more than the burst or the limit can ever give
  kOther,            // a user's own policy
};

std::string_view ToString(RejectionKind kind);

struct Rejection {
  RejectionKind kind = RejectionKind::kOther;
  std::string policy = {};  // the type of policy: "RateLimit", "CircuitBreak", ...
  std::string name = {};    // the name of its policy object; may be empty
};

// The rejection that `status` carries; nullopt for OK and for a backend's own error. It survives
// copies, StatusOr and everything else that keeps a status's payloads.
std::optional<Rejection> RejectionOf(const absl::Status& status);

// A status that RejectionOf recognises, for policies to make once and copy at each refusal (a copy
// shares its text and costs no allocation).
absl::Status MakeRejection(absl::StatusCode code, const Rejection& rejection,
                           std::string_view message);

}  // namespace holdfast

#endif  // HOLDFAST_BASE_REJECTION_H_
