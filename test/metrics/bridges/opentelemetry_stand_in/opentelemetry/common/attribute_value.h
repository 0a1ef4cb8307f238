#pragma once

#include <cstdint>

#include "opentelemetry/nostd/string_view.h"
#include "opentelemetry/nostd/variant.h"

namespace opentelemetry::common {

// Without arrays and the other integers.
using AttributeValue =
    nostd::variant<bool, std::int32_t, std::int64_t, double, const char*, nostd::string_view>;

}  // namespace opentelemetry::common
