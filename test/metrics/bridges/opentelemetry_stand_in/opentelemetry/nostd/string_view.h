#pragma once

#include <string_view>

namespace opentelemetry::nostd {

using string_view = std::string_view;

}  // namespace opentelemetry::nostd
