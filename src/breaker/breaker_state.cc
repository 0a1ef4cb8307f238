#include "holdfast/breaker/breaker_state.h"

#include <array>
#include <cstddef>

namespace holdfast {
namespace {

// Empty for a number that is not an enumerator.
template <std::size_t n, class E>
std::string_view NameOf(const std::array<std::string_view, n>& names, E value) {
  const auto index = static_cast<std::size_t>(value);
  return index < n ? names[index] : std::string_view();
}

}  // namespace

std::string_view ToString(BreakerState state) {
  constexpr std::array<std::string_view, 3> kNames = {"closed", "half-open", "open"};
  return NameOf(kNames, state);
}

std::string_view ToString(BreakerMode mode) {
  constexpr std::array<std::string_view, 4> kNames = {"automatic", "metrics-only", "forced-open",
                                                      "forced-closed"};
  return NameOf(kNames, mode);
}

std::string_view ToString(TripCause cause) {
  constexpr std::array<std::string_view, 5> kNames = {"rule", "probe failed", "probe hung",
                                                      "ramp failed", "by hand"};
  return NameOf(kNames, cause);
}

}  // namespace holdfast
