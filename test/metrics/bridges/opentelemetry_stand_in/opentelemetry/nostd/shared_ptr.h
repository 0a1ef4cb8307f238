// Of opentelemetry-cpp's API what holdfast/metrics/opentelemetry.h calls, written from its
// documentation, so that the bridge is compiled and tested where that library is not.
#pragma once

#include <memory>

namespace opentelemetry::nostd {

template <class T>
using shared_ptr = std::shared_ptr<T>;

}  // namespace opentelemetry::nostd
