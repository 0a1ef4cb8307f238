// Two runs side by side.
#ifndef HOLDFAST_EXAMPLES_DEMO_TABLE_H_
#define HOLDFAST_EXAMPLES_DEMO_TABLE_H_

#include <ostream>

#include "stats.h"

namespace demo {

void PrintTable(std::ostream& out, const Run& plain, const Run& resilient);

}  // namespace demo

#endif  // HOLDFAST_EXAMPLES_DEMO_TABLE_H_
