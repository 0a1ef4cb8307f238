// PolicyInfo describes the settings of a policy, for Stack::Describe() and Validate(stack).
//
//   struct Quota {  // a policy of yours
//     holdfast::PolicyInfo Info() const { return {.settings = "3 a user", .max_wait = 2s}; }
//   };
#ifndef HOLDFAST_CALL_POLICY_INFO_H_
#define HOLDFAST_CALL_POLICY_INFO_H_

#include <cstdint>
#include <limits>
#include <string>

#include "holdfast/base/time.h"

namespace holdfast {

// A policy returns it from an optional member `PolicyInfo Info() const`. The default of each field
// means "unknown or not applicable"; Validate ignores it.
struct PolicyInfo {
  std::string settings = {};           // Describe() puts it in parentheses after the policy's name
  Duration timeout = Duration::max();  // what is below the policy is cut off after this time
  int attempts = 1;                    // maximum attempts, in sequence
  Duration backoff{0};                 // total delay between the attempts, at most
  Duration max_elapsed = Duration::max();  // no attempt begins later than this after the first
  Duration last_hedge{0};                  // when the last hedge is sent, after the first attempt
  Duration max_wait{0};                    // longest wait of a call in this policy, on its way down
  Duration window{0};                      // the window of time in which the policy counts calls
  std::int64_t probes = 0;                 // calls that a half-open breaker admits at the same time
  Duration probe_lease{0};                 // longest time of a probe; 0: not limited
  Duration open_for{0};                    // a breaker that has opened refuses calls for this long
  bool waits_for_refusals = false;         // whether the policy retries what a policy below refused
  // Successful calls after which a timeout that is learned is in force; max: it is not learned.
  std::int64_t learns_after = std::numeric_limits<std::int64_t>::max();
  // Calls that the policy admits at the same time.
  std::int64_t limit = std::numeric_limits<std::int64_t>::max();
};

}  // namespace holdfast

#endif  // HOLDFAST_CALL_POLICY_INFO_H_
