// All headers of holdfast::testing: a fake clock and a simulator, for tests of programs that use
// Holdfast.
#ifndef HOLDFAST_TESTING_H_
#define HOLDFAST_TESTING_H_

#include "holdfast/testing/clients.h"       // IWYU pragma: export
#include "holdfast/testing/distribution.h"  // IWYU pragma: export
#include "holdfast/testing/event_queue.h"   // IWYU pragma: export
#include "holdfast/testing/fake_clock.h"    // IWYU pragma: export
#include "holdfast/testing/population.h"    // IWYU pragma: export
#include "holdfast/testing/random.h"        // IWYU pragma: export
#include "holdfast/testing/reply.h"         // IWYU pragma: export
#include "holdfast/testing/results.h"       // IWYU pragma: export
#include "holdfast/testing/server.h"        // IWYU pragma: export
#include "holdfast/testing/simulate.h"      // IWYU pragma: export
#include "holdfast/testing/world.h"         // IWYU pragma: export

#endif  // HOLDFAST_TESTING_H_
