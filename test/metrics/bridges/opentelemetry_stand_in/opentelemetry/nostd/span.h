#pragma once

#include <span>

namespace opentelemetry::nostd {

using std::span;

}  // namespace opentelemetry::nostd
