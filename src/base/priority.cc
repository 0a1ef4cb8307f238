#include "holdfast/base/priority.h"

#include <array>

namespace holdfast {

std::string_view ToString(Priority priority) {
  constexpr std::array<std::string_view, kPriorities> kNames = {"sheddable", "low", "normal",
                                                                "critical"};
  return kNames[static_cast<std::size_t>(priority)];
}

}  // namespace holdfast
