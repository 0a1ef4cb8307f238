// PolicyInfo are what a policy says of itself, for Stack::Describe() and Validate(stack).
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

// A policy has a member `PolicyInfo Info() const` or, if it has nothing to say, none. Each field
// begins as what does not apply or is not known, and of that Validate makes nothing.
struct PolicyInfo {
  std::string settings = {};               // for people: what stands in parentheses after its name
  Duration timeout = Duration::max();      // what is below it is cut off after this
  int attempts = 1;                        // it sends a call down so often, one after the other,
  Duration backoff{0};                     // and waits so long between them, in all, at most;
  Duration max_elapsed = Duration::max();  // none of them begins later than this after the first
  Duration last_hedge{0};                  // the last of those sent beside the first is, so late
  Duration max_wait{0};                    // a call waits in it on its way down, at most
  Duration window{0};                      // of time, in which it counts
  std::int64_t probes = 0;                 // a breaker lets so many at once through while half-open
  Duration probe_lease{0};          // and each of them may take so long; 0: as long as it may
  Duration open_for{0};             // it refuses all for so long; 0: not known
  bool waits_for_refusals = false;  // it waits for what a policy below refused
  std::int64_t limit = std::numeric_limits<std::int64_t>::max();  // so many are below it at once
};

}  // namespace holdfast

#endif  // HOLDFAST_CALL_POLICY_INFO_H_
