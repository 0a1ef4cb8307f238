// What Holdfast offers to tests of programs that use it.
#ifndef HOLDFAST_TESTING_H_
#define HOLDFAST_TESTING_H_

#include "holdfast/testing/fake_clock.h"  // IWYU pragma: export

#endif  // HOLDFAST_TESTING_H_
