// What the examples of metrics_http's headers call without saying what it is.
#pragma once

#include <iostream>
#include <string>

#include "holdfast/metrics_http.h"

const std::string token;
const struct {
  holdfast::CollectedObjects Objects() const { return {}; }
} stack;
