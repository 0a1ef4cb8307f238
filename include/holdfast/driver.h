// What walks a call through policies, for those who write a driver.
#ifndef HOLDFAST_DRIVER_H_
#define HOLDFAST_DRIVER_H_

#include "holdfast/driver/blocking_driver.h"  // IWYU pragma: export
#include "holdfast/driver/call_task.h"        // IWYU pragma: export
#include "holdfast/driver/fork.h"             // IWYU pragma: export
#include "holdfast/driver/machine.h"          // IWYU pragma: export
#include "holdfast/driver/race.h"             // IWYU pragma: export

#endif  // HOLDFAST_DRIVER_H_
