// What the examples of metrics' headers call without saying what it is.
#pragma once

#include <iostream>

#include "holdfast/metrics.h"

holdfast::Metrics metrics;

const struct {
  holdfast::CollectedObjects Objects() const { return {}; }
} stack;
