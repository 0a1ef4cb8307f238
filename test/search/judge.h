// Whether a stack keeps a service down once its fault is over.
#ifndef HOLDFAST_TEST_SEARCH_JUDGE_H_
#define HOLDFAST_TEST_SEARCH_JUDGE_H_

#include <cstdint>

#include "holdfast/base/time.h"
#include "test/search/scenario.h"
#include "test/search/trial.h"

namespace holdfast::search {

// When what happens in a trial.
struct Schedule {
  Duration fault_from{0}, fault_to{0};
  Duration stated{0};  // after fault_to goodput must be back within it,
  Duration judged{0};  // and stay there: so long it is looked at

  Duration settled() const { return fault_to + stated; }
  Duration end() const { return settled() + judged; }
};

// The longest that a stack may take until goodput is back, the sum of:
//   - twice the longest that a call may take, as its caller and the Timeouts of the stack have it,
//     or without these all attempts and the delays between them;
//   - a probe that just failed, and the open time after it: of the openings that the fault was long
//     enough for, the longest that its jitter gives; then the calls that it takes to close, and the
//     ramp; where a Retry waits for refusals eight times as long as it was open, or its ramp takes
//     (retry.h);
//   - as many windows of a throttle as its K, its max_rejection and the number of its calls need,
//     chance included (policies.cc), and the negative_ttl of a cache;
//   - an adaptive limit's windows: one for each call in service without the fault, by which it
//     grows;
//   - work that the servers began while they were slow, until it ends;
//   - what the fault has queued at the servers, worked off by what the calls, and the retries and
//     hedges that their budgets allow, leave free, chance included, since a server also works on
//     what nobody waits for any more;
//   - what three calls more take to come.
Duration StatedTime(Scenario& scenario);

Schedule ScheduleOf(Scenario& scenario);

enum class Outcome {
  kBack,       // at 90 % of the goodput without the fault
  kLate,       // but back a minute later
  kStuck,      // not even then
  kSometimes,  // late or stuck, but with some other seeds back: by chance, as where a probe fails
  kSick,       // without the fault most calls don't succeed either
  kTooLong,    // to simulate
};

// Whether at the end of its schedule a trial has not 90 % of the successes of the one without the
// fault, in any third of it, by more than chance, where so many calls succeed or fail together.
bool IsDown(const Timeline& with, const Timeline& without, Duration from, Duration length,
            double at_once = 1);

// One trial with the fault and one without.
Outcome JudgeOnce(Scenario& scenario, std::uint64_t seed, const Schedule& schedule);

// The same, and where it is not back three other seeds, which must agree: of the arrivals and of
// what the policies draw.
Outcome Judge(Scenario& scenario);

}  // namespace holdfast::search

#endif  // HOLDFAST_TEST_SEARCH_JUDGE_H_
