// The picture of two runs, one above the other.
#ifndef HOLDFAST_EXAMPLES_DEMO_TIMELINE_H_
#define HOLDFAST_EXAMPLES_DEMO_TIMELINE_H_

#include <absl/status/status.h>

#include <string>

#include "stats.h"

namespace demo {

// Draws to the SVG file `path` with gnuplot: kNotFound where that is not installed.
absl::Status DrawTimeline(const std::string& path, const Run& plain, const Run& resilient);

}  // namespace demo

#endif  // HOLDFAST_EXAMPLES_DEMO_TIMELINE_H_
