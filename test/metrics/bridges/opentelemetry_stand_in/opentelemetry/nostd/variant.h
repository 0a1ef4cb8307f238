#pragma once

#include <variant>

namespace opentelemetry::nostd {

using std::get;
using std::holds_alternative;
using std::variant;

}  // namespace opentelemetry::nostd
