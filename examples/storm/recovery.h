// How long a service needs to recover from a fault, by the results of a run.
//
//   std::optional<holdfast::Duration> recovered = storm::UntilMostSucceed(results, fault.to);
#ifndef HOLDFAST_EXAMPLES_STORM_RECOVERY_H_
#define HOLDFAST_EXAMPLES_STORM_RECOVERY_H_

#include <optional>

#include "holdfast/base/time.h"
#include "holdfast/testing/results.h"

namespace storm {

// The time from `fault_end` until nine of ten calls succeed and do so to the end; nullopt: not by
// the end. In a long run that equals Results::TimeToRecover. Unlike that it compares successes
// with calls and not with the time before the fault, of which a cold start has none, and in which a
// few clients call at an uneven rate.
std::optional<holdfast::Duration> UntilMostSucceed(const holdfast::testing::Results& results,
                                                   holdfast::Duration fault_end);

// The time from `fault_end` until 99 of 100 calls have succeeded, each of which connects a client;
// nullopt: not by the end.
std::optional<holdfast::Duration> UntilMostAreConnected(const holdfast::testing::Results& results,
                                                        holdfast::Duration fault_end);

}  // namespace storm

#endif  // HOLDFAST_EXAMPLES_STORM_RECOVERY_H_
